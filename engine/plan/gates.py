"""What a base model must be for a method, decided from its Look and its small files."""

import json
from collections.abc import Mapping

from engine.jobs import Value
from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, Look
from engine.refusal import Refusal

WANTS = {"mlm": "masked"}
"""Every other method wants a causal model."""


def fits(look: Look, method: str) -> None:
    """Raise Refusal, which names what would work, where the model is of the wrong kind for the method."""
    wanted = WANTS.get(method, "causal")
    if look.kind != wanted:
        raise Refusal(mismatch(look, method, wanted), "model")
    check_shards(look)
    if wanted == "masked" and not has_mask(look):
        raise Refusal(f"{look.id} has no mask token, which mlm needs: {DEFAULT_MASKED} has one.", "model")


def mismatch(look: Look, method: str, wanted: str) -> str:
    if wanted == "masked":
        return (
            f"mlm needs a masked language model (an encoder such as BERT), and {look.id} is "
            f"{article(look.kind)}: take model={DEFAULT_MASKED}, or method clm or sft with this one."
        )
    also = ", or method mlm with this one" if look.kind == "masked" else ""
    return (
        f"{method} needs a causal language model, and {look.id} is {article(look.kind)}: "
        f"take model={DEFAULT_CAUSAL}{also}."
    )


def article(kind: str) -> str:
    words = {"causal": "a causal one, which writes text from left to right", "masked": "an encoder"}
    return words.get(kind, f"of another kind ({kind})")


def has_mask(look: Look) -> bool:
    try:
        names = json.loads((look.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = {}
    if names.get("mask_token"):
        return True
    try:
        added = json.loads((look.folder / "tokenizer.json").read_text(encoding="utf-8")).get("added_tokens", [])
    except (OSError, ValueError):
        return False
    return any(token.get("content") in ("[MASK]", "<mask>") for token in added)


def check_shards(look: Look) -> None:
    """Refuse a list of weights that leads out of the model's folder, or to files that are not safetensors."""
    try:
        index = json.loads((look.folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    names = index.get("weight_map", {}).values()
    odd = next((name for name in names if "/" in name or "\\" in name or not name.endswith(".safetensors")), None)
    if odd is not None:
        raise Refusal(f"{look.id} names weights that do not lie beside its config ({odd[:80]}): take another.", "model")


def check_disk(look: Look, given: Mapping[str, Value], free: float, runs_free: float | None = None) -> None:
    """Refuse a run for which there is no room: the base in the cache, checkpoints and result in the run's folder.

    `free` are the bytes of the cache's disk, `runs_free` those of the runs' where that is another one.
    """
    base = 2.0 * look.parameters
    made = made_bytes(look.parameters, is_lora=given.get("lora", True) is not False, is_merged=bool(given.get("merge")))
    if runs_free is not None and base <= free and made > runs_free:
        raise Refusal(no_room(look.id, made, runs_free, "where runs are kept"), "model")
    needed = base + (made if runs_free is None else 0)
    if needed > free:
        raise Refusal(no_room(look.id, needed, free, "here" if runs_free is None else "in the cache"), "model")


def made_bytes(parameters: float, *, is_lora: bool, is_merged: bool = False) -> float:
    """What a run writes into its folder: two checkpoints with their optimizer, the result, and merged weights."""
    trained = 0.02 * parameters if is_lora else parameters
    return 2 * 12 * trained + 4 * trained + (2 * parameters if is_merged and is_lora else 0)


def no_room(model: str, needed: float, free: float, where: str) -> str:
    return (
        f"A run on {model} needs about {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free {where}: "
        "remove old runs with `/finetune forget`, or take a smaller model."
    )


def templates_for(method: str, look: Look, given: Mapping[str, Value]) -> tuple[str, ...]:
    """The templates that can be chosen for turns where the model has none and nobody said; chatml is taken."""
    if look.has_chat_template or "template" in given or method in ("clm", "mlm"):
        return ()
    return ("chatml", "zephyr", "none")


def template_words(model: str, templates: tuple[str, ...]) -> str:
    others = " or ".join(f"template={word}" for word in templates[1:])
    return (
        f"{model} has no chat template of its own, and these rows are conversations: they are written as "
        f"{templates[0]}, which the tuned model then brings along. Choose {others} for another."
    )
