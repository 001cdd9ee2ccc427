"""Every choice that is made for speed, in one place, each with its reason; printed when a training starts.

Pure: what the machine has comes in as a `Machine`, what follows comes out as `Choice`s and as the trainer's arguments.
The factors are FLOPs by weight (a full training 6, a lora 4, checkpointing 2 more), see docs/performance.md.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.jobs import Value
from engine.plan import estimate

COMPILE_S = 120.0
"""Seconds that compiling takes, and the share of a training that it saves, as torchtune's figures have it (+27 %)."""
GAIN = 0.2


@dataclass(frozen=True)
class Machine:
    """What there is to be fast with; the packages are looked for, never downloaded."""

    has_gpu: bool = False
    has_bf16: bool = False
    has_flash: bool = False
    has_liger: bool = False
    has_bitsandbytes: bool = False


@dataclass(frozen=True)
class Job:
    """`seconds` is the estimate of the whole training, 0 where there is none."""

    method: str
    settings: Mapping[str, Value]
    seconds: float = 0.0

    def is_on(self, name: str) -> bool:
        return bool(self.settings.get(name))


@dataclass(frozen=True)
class Choice:
    name: str
    value: str
    reason: str


def machine_here() -> Machine:
    import torch

    has_gpu = bool(torch.cuda.is_available())
    return Machine(
        has_gpu,
        has_gpu and bool(torch.cuda.is_bf16_supported(including_emulation=False)),
        has_gpu and is_installed("flash_attn"),
        has_gpu and is_installed("liger_kernel"),
        has_gpu and is_installed("bitsandbytes"),
    )


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def expected_s(settings: Mapping[str, Value], rows: int, model: Path, memory_gb: float) -> float:
    """About how many seconds packed rows take on a GPU of that memory, by the weights' size in bfloat16."""
    weights = sum(path.stat().st_size for path in model.glob("*.safetensors")) / 2
    per_step = int(settings["max_length"]) * int(settings["batch_size"]) * int(settings["gradient_accumulation"])
    flops = estimate.planned_steps(settings, rows) * per_step * (4 if settings.get("lora") else 6) * weights
    peak = next(rate for least, rate in estimate.GPU_FLOPS if memory_gb >= least)
    return flops / (peak * estimate.GPU_SHARE)


def choices(job: Job, machine: Machine) -> list[Choice]:
    return [
        weights(job, machine),
        precision(machine),
        checkpointing(job),
        batches(job),
        attention(job, machine),
        *head(job, machine),
        *reference(job),
        kernels(job, machine),
        compiling(job, machine),
    ]


def weights(job: Job, machine: Machine) -> Choice:
    word = str(job.settings.get("quantization", "none"))
    if word != "none":
        return Choice("weights", word, "as given: the frozen base in fewer bits, the lora whole")
    if job.is_on("lora") and machine.has_bf16:
        return Choice("weights", "bfloat16", "the base is frozen, so only the lora needs float32")
    if machine.has_gpu:
        return Choice("weights", "float32", "what is trained keeps its small changes only in float32")
    return Choice("weights", "float32", "a processor is slower in bfloat16")


def precision(machine: Machine) -> Choice:
    if machine.has_bf16:
        return Choice("arithmetic", "bfloat16", "this GPU computes it itself, and it cannot overflow as float16 does")
    where = "this GPU would only emulate bfloat16" if machine.has_gpu else "there is no GPU"
    return Choice("arithmetic", "float32", where)


def checkpointing(job: Job) -> Choice:
    share = "half" if job.is_on("lora") else "a third"
    if job.is_on("gradient_checkpointing"):
        return Choice("checkpointing", "on", f"the memory demands it; it costs {share} more arithmetic")
    return Choice("checkpointing", "off", f"the memory suffices without; it would cost {share} more arithmetic")


def batches(job: Job) -> Choice:
    if job.method == "kto":
        return Choice("batches", "in order", "each row is compared with its neighbour's answer")
    if job.is_on("packing"):
        return Choice("batches", "packed", "short rows fill one long row (best fit decreasing), each sees itself only")
    return Choice("batches", "of like lengths", "padding is a few percent in place of half")


def attention(job: Job, machine: Machine) -> Choice:
    if job.is_on("packing") and machine.has_flash and job.method != "mlm":
        return Choice("attention", "flash_attention_2", "installed: it skips what a packed row must not see")
    if job.is_on("packing"):
        return Choice("attention", "sdpa", f"a mask for each packed row, one row at a time, {without_flash(job)}")
    return Choice("attention", "sdpa", "torch's own fused attention")


def without_flash(job: Job) -> str:
    return "as encoders need" if job.method == "mlm" else "as flash-attn is not installed"


def head(job: Job, machine: Machine) -> Iterator[Choice]:
    """The logits of every position of a batch are its largest tensor: nobody needs all of them at once."""
    if job.method in ("mlm", "reward"):
        return
    if machine.has_gpu:
        yield Choice("logits", "fused", "in tiles with the loss, never all at once")
    else:
        yield Choice("logits", "of learned positions", "prompts and padding are not scored, 1,024 positions at a time")


def reference(job: Job) -> Iterator[Choice]:
    if job.method not in ("dpo", "kto"):
        return
    yield Choice("reference", "the base itself", "its log-probabilities are computed once, or with the lora off")


def kernels(job: Job, machine: Machine) -> Choice:
    if machine.has_liger and job.method != "mlm":
        return Choice("liger", "on", "installed: fused norms, rotations and gates; the loss keeps the head above")
    if machine.has_gpu:
        return Choice("liger", "off", "not installed" if not machine.has_liger else "it has none for encoders")
    return Choice("liger", "off", "its kernels are for GPUs")


def compiling(job: Job, machine: Machine) -> Choice:
    if not machine.has_gpu:
        return Choice("compile", "off", "it is for GPUs")
    if not job.is_on("packing"):
        return Choice("compile", "off", "rows of many lengths would be compiled again and again")
    if job.seconds * GAIN < COMPILE_S:
        return Choice("compile", "off", f"about {job.seconds:.0f} s of training do not repay two minutes of compiling")
    return Choice("compile", "on", "rows of one length, and long enough to repay two minutes of compiling")


def trainer_arguments(made: list[Choice]) -> dict[str, Any]:
    """The choices as arguments of transformers' Trainer, beside those that the settings give."""
    value = {choice.name: choice.value for choice in made}
    arguments: dict[str, Any] = {"bf16": value["arithmetic"] == "bfloat16"}
    if value["batches"] == "of like lengths":
        arguments["train_sampling_strategy"] = "group_by_length"
    if value["liger"] == "on":
        arguments["use_liger_kernel"] = True
        arguments["liger_kernel_config"] = {"fused_linear_cross_entropy": False, "cross_entropy": False}
    if value["compile"] == "on":
        arguments["torch_compile"] = True
    return arguments


def batch_and_accumulation(made: list[Choice], settings: Mapping[str, Value]) -> tuple[int, int]:
    """As settled; packed rows without flash-attn one at a time, since their mask grows with the square of a batch."""
    batch, accumulation = int(settings["batch_size"]), int(settings["gradient_accumulation"])
    value = {choice.name: choice.value for choice in made}
    is_slow = value["batches"] == "packed" and value["attention"] == "sdpa"
    return (1, batch * accumulation) if is_slow else (batch, accumulation)


def tell(made: list[Choice]) -> None:
    """Into the attempt's log, where `logs RUN` finds it."""
    for choice in made:
        sys.stdout.write(f"{choice.name}: {choice.value} ({choice.reason})\n")
    sys.stdout.flush()


def keep_compiled(folder: Path) -> None:
    """What Triton and Inductor compile is kept in one folder for all runs, unless the operator says where."""
    os.environ.setdefault("TRITON_CACHE_DIR", str(folder / "triton"))
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder / "inductor"))
