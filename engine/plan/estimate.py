"""What a run will take: steps, time and memory, by formulas whose constants were measured."""

import math
from collections.abc import Mapping
from dataclasses import replace

from engine.data.types import Estimate, Setting
from engine.executor import Slot
from engine.jobs import Value
from engine.plan.models import Look
from engine.plan.parameters import complete

GB = 1e9
CPU_FLOPS = 8e10
"""Multiply-adds count two. SmolLM2-135M with a lora on two cores, float32: measured over whole training steps."""
GPU_FLOPS = ((70, 4e14), (30, 2e14), (20, 1e14), (0, 4e13))
"""Dense bf16 of a card with at least so many GB, rounded down: H100 and H200, A100, L4 and 4090, T4."""
GPU_SHARE = 0.3
"""What transformers reaches of that on models above a billion weights; smaller ones are bound by launches."""
START_S = 15.0
"""Imports, loading, answers before and after, saving and loading back, for a model of 135M."""
BITS = {"int8": 1.1, "int4": 0.6}
"""Bytes of a weight, with the scales that bitsandbytes keeps, and what it leaves whole."""
PAIRS = ("dpo", "orpo", "reward")


def planned_steps(values: Mapping[str, Value], rows: int) -> int:
    """Optimizer steps of a training on one device."""
    if int(values["max_steps"]):
        return int(values["max_steps"])
    per_step = int(values["batch_size"]) * int(values["gradient_accumulation"])
    return max(1, math.ceil(math.ceil(rows / per_step) * float(values["epochs"])))


def estimate(method: str, settings: Mapping[str, Setting], look: Look, rows: int, tokens: int, slot: Slot) -> Estimate:
    """`rows` are those that will be trained on, and `tokens` what they hold in all (both answers of a pair)."""
    values = complete(method, {name: setting.value for name, setting in settings.items()})
    steps = planned_steps(values, rows)
    per_step = tokens / max(1, rows) * int(values["batch_size"]) * int(values["gradient_accumulation"])
    seconds = START_S * max(1.0, look.parameters / 1e9) + steps * per_step * flops_per_token(
        method, values, look
    ) / speed(look, slot)
    memory = memory_bytes(method, values, look, slot) / GB
    return Estimate(steps, round(seconds, 1), round(memory, 2), notes(slot, memory))


def flops_per_token(method: str, values: Mapping[str, Value], look: Look) -> float:
    """6 per weight for a full training, 4 with a lora (no gradients of the frozen ones), 2 for a reference."""
    per_weight = 4.0 if values["lora"] else 6.0
    per_weight += {"dpo": 2.0, "kto": 4.0}.get(method, 0.0)  # kto reads the neighbour's answers as well
    per_weight += 2.0 if values["gradient_checkpointing"] else 0.0
    return per_weight * look.parameters


def speed(look: Look, slot: Slot) -> float:
    """Floating point operations a second that a training really gets."""
    if not slot.gpus:
        return CPU_FLOPS
    peak = next(flops for least, flops in GPU_FLOPS if slot.memory_gb >= least)
    return peak * GPU_SHARE * min(1.0, max(0.1, look.parameters / 1e9))


def memory_bytes(method: str, values: Mapping[str, Value], look: Look, slot: Slot) -> float:
    """Weights, gradients with optimizer, activations of the longest batch, logits, and what the libraries need."""
    is_gpu = slot.gpus > 0
    is_lora = bool(values["lora"])
    width = BITS.get(str(values.get("quantization")), 2.0 if is_gpu and is_lora else 4.0)
    trained = lora_weights(values, look) if is_lora else look.parameters
    tokens = int(values["max_length"]) * int(values.get("batch_size", 1)) * (2 if method in PAIRS else 1)
    per_layer = look.hidden * (2 if values.get("gradient_checkpointing") else 20)
    activations = tokens * look.layers * per_layer * (2 if is_gpu else 4)
    head = look.vocab * 4 * 3 * (tokens * 0.5 if method == "mlm" else min(tokens, 1024))
    return look.parameters * width + trained * 12 + activations + head + (1.5e9 if is_gpu else 0.8e9)


def lora_weights(values: Mapping[str, Value], look: Look) -> float:
    """Seven matrices a layer, of which three are about three times as wide: 2 × rank × hidden × (4 + 3 × 2)."""
    return 20.0 * int(values.get("lora_r", 16)) * look.hidden * look.layers


def priced(made: Estimate, gpus: int, price: float) -> Estimate:
    """The estimate with what it costs on `gpus` GPUs at `price` an hour each."""
    hours = made.seconds / 3600 * gpus
    return replace(made, gpu_hours=round(hours, 3), cost=round(hours * price, 2))


def notes(slot: Slot, memory_gb: float) -> tuple[str, ...]:
    said = []
    if not slot.gpus:
        said.append("There is no GPU here: this is the speed of two processor cores.")
    if memory_gb > slot.memory_gb:
        said.append(f"This needs about {memory_gb:.0f} GB, and there are {slot.memory_gb:.0f} GB: it may not fit.")
    return tuple(said)
