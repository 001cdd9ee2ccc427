"""Settings that cannot work together, or not with this model: refused before anything is queued, in words."""

from collections.abc import Mapping

from engine.jobs import Value
from engine.plan.models import Look
from engine.plan.parameters import BY_NAME
from engine.refusal import Refusal

LEAST_BATCH = {"kto": 2}
"""Rows that a method needs in one batch; kto compares each with its neighbour's answer."""
OF_LORA = ("lora_r", "lora_alpha", "lora_dropout", "target_modules", "merge")


def can_halve(method: str, batch: int) -> bool:
    """Whether half of a batch is still one."""
    return batch // 2 >= LEAST_BATCH.get(method, 1)


def check_together(method: str, given: Mapping[str, Value], look: Look) -> None:
    """`given` is what somebody said, nothing that was chosen. Raises Refusal with the field to change."""
    check_length(given, look)
    check_lora(given)
    batch = given.get("batch_size")
    if batch is not None and int(batch) < LEAST_BATCH.get(method, 1):
        raise Refusal(
            f"{method} compares each answer with its neighbour's in the batch: batch_size has to be "
            f"{LEAST_BATCH[method]} or more.",
            "batch_size",
        )
    steps = given.get("max_steps")
    if steps and given.get("save_steps") and int(given["save_steps"]) > int(steps):
        raise Refusal(
            f"save_steps={given['save_steps']} is beyond the {steps} steps of max_steps: no checkpoint would be made.",
            "save_steps",
        )


def check_length(given: Mapping[str, Value], look: Look) -> None:
    wanted = int(given.get("max_length", 0))
    if 0 < look.max_length < wanted:
        raise Refusal(
            f"max_length={wanted} is more than {look.id} reads at once: it has {look.max_length:,} positions. "
            f"Take max_length={look.max_length}, or a model that reads more.",
            "max_length",
        )


def check_lora(given: Mapping[str, Value]) -> None:
    if given.get("lora") is not False:
        return
    without_effect = next((name for name in OF_LORA if name in given and given[name] != BY_NAME[name].default), None)
    if without_effect:
        raise Refusal(f"`{without_effect}` does nothing with lora=off: leave one of the two out.", without_effect)
