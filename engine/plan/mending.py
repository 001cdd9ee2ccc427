"""What may mend a run that failed: how the run in its place differs, by the kind of trouble. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.jobs import JobSpec, Run, Status, Value
from engine.plan.combinations import can_halve

KILLED = (-9, 137)
"""Exit codes of a process that was ended by SIGKILL: as a child of ours, and inside a shell or a container."""
SHORTEST = 64
"""Tokens below which a row is not cut to save memory."""


@dataclass(frozen=True)
class Mend:
    """`name` is what a button carries; `changes` are parameters; with `resumes` it goes on at the last checkpoint."""

    name: str
    changes: Mapping[str, Value] = field(default_factory=dict)
    resumes: bool = False


def mends(run: Run) -> tuple[Mend, ...]:
    """One or two runs that may end better, the likeliest first; none for a run that did not fail in training."""
    if run.status is not Status.failed or run.done == "train":
        return ()
    has_saved = run.progress.saved_step > 0
    match run.trouble:
        case "memory":
            return tuple(smaller(run, has_saved))[:2]
        case "nan":
            return (Mend("rate", {"learning_rate": float(run.spec.parameters.get("learning_rate", 0)) / 2}, has_saved),)
        case "data" | "model":
            return ()
        case _:
            return (Mend("resume", resumes=True),) if has_saved else (Mend("retry"),)


def smaller(run: Run, has_saved: bool) -> Iterator[Mend]:
    """Half the batch of the last try, with as many rows a step; a base in four bits on a GPU; else shorter rows."""
    values = run.spec.parameters
    times = 2 if run.has_less_memory else 1
    batch = int(values.get("batch_size", 1)) // times
    accumulation = int(values.get("gradient_accumulation", 1)) * times
    if can_halve(run.spec.method, batch):
        half: dict[str, Value] = {"batch_size": batch // 2, "gradient_accumulation": accumulation * 2}
        yield Mend("half", half, has_saved)
    if run.progress.has_gpu and values.get("lora") and values.get("quantization", "none") == "none":
        yield Mend("int4", {"quantization": "int4"})
    length = int(values.get("max_length", 0))
    if not can_halve(run.spec.method, batch) and length >= 2 * SHORTEST:
        yield Mend("short", {"max_length": length // 2})


def mended(run: Run, name: str) -> Run | None:
    """The run that takes the failed one's place; None where its failure is not mended so."""
    mend = next((mend for mend in mends(run) if mend.name == name), None)
    if mend is None:
        return None
    spec: JobSpec = replace(run.spec, parameters={**run.spec.parameters, **mend.changes})
    return Run("", spec, of=run.id, resumes=mend.resumes)


def can_halve_batch(run: Run) -> bool:
    """Whether a training that ran out of memory may be tried with half the batch by itself: once, if that is one."""
    batch = run.spec.parameters.get("batch_size", 0)
    is_divisible = isinstance(batch, int) and can_halve(run.spec.method, batch)
    return run.attempt.startswith("train-") and not run.has_less_memory and not run.cancel and is_divisible
