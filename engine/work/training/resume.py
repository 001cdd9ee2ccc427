"""A training that was cut off: where it goes on, with which batch, and what people are told of it."""

import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.events import Event, read_events
from engine.jobs import Attempt, Value
from engine.plan.combinations import can_halve
from engine.plan.mending import KILLED
from engine.work.training.checkpoints import drop_damaged, last_good, step_of
from engine.work.training.task import Task


def earlier(attempt: Attempt) -> list[list[Event]]:
    """What each attempt before this one reported, oldest first."""
    return [read_events(folder / "events.jsonl") for folder in earlier_folders(attempt)]


def earlier_folders(attempt: Attempt) -> list[Path]:
    return [replace(attempt, number=number).folder for number in range(1, attempt.number)]


def smaller(task: Task) -> Task:
    """The task with half the batch and twice the accumulation, if an earlier attempt ran out of memory.

    The effective batch stays what was agreed, so that steps and checkpoints mean the same. An attempt that the system
    killed has run out too: where memory is short, the kernel ends the largest process without a word.
    """
    has_run_out = any(event.kind == "out_of_memory" for events in earlier(task.attempt) for event in events)
    was_killed = any(map(is_killed, earlier_folders(task.attempt)))
    if not (has_run_out or was_killed) or not can_halve(task.spec.method, task.whole("batch_size")):
        return task
    halved = halve(task.settings)
    words = f"batch_size={halved['batch_size']} gradient_accumulation={halved['gradient_accumulation']}"
    why = "The memory was not enough" if has_run_out else "A try was killed, most often for want of memory"
    task.report("warning", text=f"{why}, so this try takes {words}.")
    return replace(task, settings=halved)


def is_killed(folder: Path) -> bool:
    """Whether the attempt's process was ended by SIGKILL that nobody here had sent."""
    try:
        record = json.loads((folder / "exit.json").read_bytes())
    except (OSError, ValueError):
        return False
    return record.get("code") in KILLED and not record.get("was_stopped")


def halve(settings: Mapping[str, Value]) -> dict[str, Value]:
    batch, accumulation = int(settings["batch_size"]) // 2, int(settings["gradient_accumulation"]) * 2
    return {**settings, "batch_size": batch, "gradient_accumulation": accumulation}


def checkpoint_to_resume(task: Task) -> Path | None:
    """The last good checkpoint of the attempts before this one; damaged ones are removed and told.

    None begins anew: for a first attempt without anything to go on from, and after one that finished.
    """
    if any(events and events[-1].kind == "finished" for events in earlier(task.attempt)):
        shutil.rmtree(task.folder.checkpoints, ignore_errors=True)
        return None
    is_first_rank = os.environ.get("RANK", "0") == "0"
    damaged = drop_damaged(task.folder.checkpoints) if is_first_rank else []
    good = last_good(task.folder.checkpoints)
    if damaged:
        then = f"the one of step {step_of(good)} is taken" if good else "the training begins anew"
        steps = ", ".join(str(step) for step in damaged)
        task.report("warning", text=f"The checkpoint of step {steps} was not whole: {then}.")
    return good


def keep_learning_rate(rate: float, optimizer: Any, scheduler: Any) -> None:
    """A checkpoint brings the learning rate of the run that wrote it: the one that this run was given holds."""
    inner = getattr(scheduler, "scheduler", scheduler)
    before = next(iter(getattr(inner, "base_lrs", ())), 0.0)
    if optimizer is None or not before or math.isclose(before, rate):
        return
    inner.base_lrs = [rate] * len(inner.base_lrs)
    for group in optimizer.param_groups:
        group["initial_lr"] = rate
        group["lr"] *= rate / before


def told_hints(task: Task) -> set[str]:
    """The hints that earlier attempts gave: each is given once."""
    said = (event.data.get("hint", "") for events in earlier(task.attempt) for event in events)
    return {name for name in said if name}


def history(task: Task) -> list[Event]:
    """The steps of all attempts as one training, each up to where the next one went on, and what else this one said."""
    own = read_events(task.log.path)
    kept: list[Event] = []
    for events in [*earlier(task.attempt), own]:
        steps = [event for event in events if event.kind == "step"]
        first = steps[0].data["step"] if steps else math.inf
        kept = [event for event in kept if event.data["step"] < first] + steps
    return kept + [event for event in own if event.kind != "step"]
