"""What a run's parameters should be where nobody says: chosen from the rows, the model and the slot, with reasons.

`settle` is a list of small rules, one a parameter; each sees what was settled before it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.data.types import Setting
from engine.executor import Slot
from engine.jobs import Value
from engine.plan.combinations import LEAST_BATCH, check_together
from engine.plan.estimate import GB, memory_bytes
from engine.plan.models import Look
from engine.plan.parameters import LANGUAGE, table_for, word
from engine.plan.shares import shared
from engine.refusal import Refusal

SMALL = 500_000_000
"""Weights below which a model wants a higher learning rate, and an encoder is trained whole."""
TINY = 200_000_000
"""Weights below which it wants a higher one still; seen on SmolLM2-135M."""
QUICK = 50_000_000
"""Weights below which two processor cores take sixteen rows in about a second."""
LORA_RATES = {"sft": 2e-4, "clm": 2e-4, "reward": 1e-4, "dpo": 1e-5, "orpo": 8e-5, "kto": 1e-5, "mlm": 5e-4}
"""Learning rates of a lora on a model of some billions: ten times those of a full training, which are TRL's own for sft
and dpo, 1e-6 for kto, 8e-6 for orpo (https://arxiv.org/abs/2403.07691), 5e-5 for mlm (https://arxiv.org/abs/1810.04805)."""
MARGIN = 0.85
"""Share of the slot's memory that the estimate may fill."""


@dataclass(frozen=True)
class Circumstances:
    method: str
    rows: int
    tokens_median: int
    look: Look
    slot: Slot

    @property
    def is_gpu(self) -> bool:
        return self.slot.gpus > 0


def settle(
    method: str, given: Mapping[str, Value], *, rows: int, tokens_median: int, look: Look, slot: Slot
) -> dict[str, Setting]:
    """Every parameter of the method with its value and why. `rows` are the training rows, `tokens_median` of one."""
    check_bits(given, slot)
    check_together(method, given, look)
    where = Circumstances(method, rows, tokens_median, look, slot)
    values: dict[str, Value] = dict(given)
    settings = {name: Setting(value, "as given") for name, value in given.items()}
    for name in [*RULES, *(parameter.name for parameter in table_for(method))]:
        if name in settings:
            continue
        parameter = next((item for item in table_for(method) if item.name == name), None)
        if parameter is None:
            continue
        rule = RULES.get(name)
        setting = rule(where, values) if rule else Setting(parameter.default_for(method), "usual")
        settings[name], values[name] = setting, setting.value
    shared(int(values["batch_size"]), int(values["gradient_accumulation"]), int(values["gpus"]))
    return {parameter.name: settings[parameter.name] for parameter in table_for(method)}


def check_bits(given: Mapping[str, Value], slot: Slot) -> None:
    """Raises Refusal for a quantized base that cannot be: bitsandbytes holds frozen weights, and on GPUs."""
    bits = str(given.get("quantization", "none"))
    if bits == "none":
        return
    if not slot.gpus:
        raise Refusal(f"quantization={bits} needs a GPU, and there is none here: leave it out.", "quantization")
    if given.get("lora") is False:
        raise Refusal(
            f"quantization={bits} freezes the base, so only a lora can be trained: leave lora=off out.", "lora"
        )


def lora(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    if values.get("quantization", "none") != "none":
        return Setting(True, "a base in fewer bits is frozen")
    if where.method == "mlm" and where.look.parameters < SMALL:
        return Setting(False, "a small encoder is trained whole")
    return Setting(True, "trains about 1 % as many weights, and cannot spoil the base")


def max_length(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    usual, place = (1024, "on a GPU") if where.is_gpu else (512, "on a CPU")
    if 0 < where.look.max_length <= usual:
        return Setting(where.look.max_length, "what the model can read at most")
    return Setting(usual, f"usual {place}")


def epochs(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    """Few rows are seen more often; preferences are overlearned soon."""
    if values.get("max_steps"):
        return Setting(1, "max_steps decides")
    steps = ((200, 5), (2_000, 3), (20_000, 2)) if where.method in ("sft", "clm", "mlm") else ((200, 3), (1_000, 2))
    value = next((epochs for limit, epochs in steps if where.rows < limit), 1)
    return Setting(value, f"for {where.rows} rows")


def learning_rate(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    size, times = next(
        (size, times)
        for limit, size, times in ((TINY, "tiny", 10), (SMALL, "small", 5), (math.inf, "larger", 1))
        if where.look.parameters < limit
    )
    kind, share = ("a lora", 1.0) if values["lora"] else ("a full training", 0.1)
    rate = LORA_RATES[where.method] * share * times
    return Setting(float(f"{rate:.3g}"), f"for {where.method} with {kind} of a {size} model")


def batch_size(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    """The wanted rows of a step, or as many of them as the memory holds at once."""
    wanted = wanted_rows(where, values)
    batch = wanted
    while (
        batch > LEAST_BATCH.get(where.method, 1)
        and memory(where, {**values, "batch_size": batch}) > MARGIN * where.slot.memory_gb * GB
    ):
        batch //= 2
    return Setting(batch, f"for {where.rows} rows" if batch == wanted else "what the memory holds")


def gradient_accumulation(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    wanted = wanted_rows(where, values)
    times = max(1, wanted // int(values["batch_size"]))
    return Setting(times, "one batch a step" if times == 1 else f"so that a step takes {wanted} rows")


def wanted_rows(where: Circumstances, values: Mapping[str, Value]) -> int:
    """Rows of an optimizer step: enough steps for few rows, less noise for many; of packed ones as many tokens."""
    rows = single_rows(where)
    if not values.get("packing"):
        return rows
    share = rows * where.tokens_median / int(values["max_length"])
    return int(2 ** round(math.log2(max(1.0, share))))


def single_rows(where: Circumstances) -> int:
    if not where.is_gpu:
        return 16 if where.look.parameters < QUICK else 4
    if where.rows < 200:
        return 4
    return next((size for limit, size in ((2_000, 8), (20_000, 16)) if where.rows < limit), 32)


def gradient_checkpointing(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    if memory(where, {**values, "batch_size": 1}) > MARGIN * where.slot.memory_gb * GB:
        return Setting(True, "one row alone would fill the memory")
    return Setting(False, "the memory suffices without")


def memory(where: Circumstances, values: Mapping[str, Value]) -> float:
    return memory_bytes(where.method, values, where.look, where.slot)


def packing(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    is_short = where.tokens_median * 4 < int(values["max_length"])
    if where.method in LANGUAGE and where.is_gpu and where.rows >= 1_000 and is_short:
        return Setting(True, "many short texts: padding would be half of the work")
    return Setting(False, "one row at a time")


def warmup_ratio(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    return Setting(0.1, "the first tenth of the steps")


def save_steps(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    return Setting(0, "a fifth of the run, at least 50 steps")


def valid(where: Circumstances, values: Mapping[str, Value]) -> Setting:
    return Setting("auto", "a tenth of the rows, if there are enough")


Rule = Callable[[Circumstances, Mapping[str, Value]], Setting]
RULES: Mapping[str, Rule] = {
    "lora": lora,
    "max_length": max_length,
    "epochs": epochs,
    "learning_rate": learning_rate,
    "gradient_checkpointing": gradient_checkpointing,
    "packing": packing,
    "batch_size": batch_size,
    "gradient_accumulation": gradient_accumulation,
    "warmup_ratio": warmup_ratio,
    "save_steps": save_steps,
    "valid": valid,
}
"""In this order: a rule may look at what an earlier one settled."""


def plain(settings: Mapping[str, Setting]) -> dict[str, Value]:
    """The values alone, as a JobSpec holds them."""
    return {name: setting.value for name, setting in settings.items()}


def lines(settings: Mapping[str, Setting]) -> list[str]:
    return [f"{name} = {word(setting.value)} ({setting.reason})" for name, setting in settings.items()]
