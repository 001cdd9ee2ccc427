"""What a method gets (`Task`), what it gives back (`Work`), and how an attempt fails (`Failure`)."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.events import EventLog
from engine.folder import RunFolder
from engine.jobs import Attempt, JobSpec, Value


@dataclass(frozen=True)
class Task:
    """One training to do. `settings` are the parameters with nothing left open."""

    folder: RunFolder
    spec: JobSpec
    settings: Mapping[str, Value]
    attempt: Attempt
    log: EventLog

    def whole(self, name: str) -> int:
        return int(self.settings[name])

    def number(self, name: str) -> float:
        return float(self.settings[name])

    def is_on(self, name: str) -> bool:
        return bool(self.settings[name])

    def report(self, kind: str, **data: Any) -> None:
        """Write an event; of several ranks only the first does."""
        if os.environ.get("RANK", "0") == "0":
            self.log.write(kind, **data)


@dataclass(frozen=True)
class Question:
    """A prompt as people read it, as the model gets it, and the row's own answer."""

    shown: str
    text: str
    expected: str


@dataclass(frozen=True)
class Work:
    """A training made ready. `trainer` is TRL's or transformers' and holds the model that `train()` will change.

    `measure(model)` gives the method's metrics on the held-out rows, empty where there are none;
    `answer(model)` gives one text per question; `load_back()` loads what was written to the output folder.
    """

    trainer: Any
    tokenizer: Any
    measure: Callable[[Any], dict[str, float]]
    questions: tuple[Question, ...]
    are_held_out: bool
    answer: Callable[[Any], list[str]]
    load_back: Callable[[], Any]


MEMORY_SIGNS: Final = ("out of memory", "can't allocate memory", "cannot allocate memory", "defaultcpuallocator")
DISK_SIGNS: Final = ("no space left", "unexpected pos", "disk quota")
FOLDERS: Final = re.compile(r"(?<![:/\w])/(?:[^\s/'\":]+/)+")
"""The folders of a path: what reaches a chat names a file of this machine by its last part only."""
SMALLER: Final = (
    "Try half the batch_size with twice the gradient_accumulation, a shorter max_length, or a smaller model."
)


class Failure(Exception):
    """`code` is nan, memory, disk, data, model, hub or crash; `reason` says what happened and what to try."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def explain(error: BaseException) -> Failure:
    """The Failure that an error of a training stands for; what nobody foresaw is a `crash` with its own words."""
    if isinstance(error, Failure):
        return error
    text = str(error).strip()
    if is_out_of_memory(error):
        return Failure("memory", f"The memory was not enough for this batch. {SMALLER}")
    if any(sign in text.lower() for sign in DISK_SIGNS):
        return Failure("disk", "The disk is full: free some space, then start the run again.")
    first = FOLDERS.sub("", text.splitlines()[0]) if text else type(error).__name__
    return Failure("crash", f"The training broke with {type(error).__name__}: {first[:300]}. The log has the rest.")


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA and the CPU allocator both say it as a RuntimeError; only the text tells."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in MEMORY_SIGNS)
