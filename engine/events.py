"""What an attempt reports, one JSON object a line in its `events.jsonl`, and how each line is written and read."""

import contextlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import fault

KINDS = (
    "started",
    "phase",
    "step",
    "evaluated",
    "checkpoint",
    "warning",
    "out_of_memory",
    "answered",
    "stopped",
    "finished",
    "failed",
)
ENDS = ("stopped", "finished", "failed")
HEAD = ("v", "run", "attempt", "seq", "at", "kind")


@dataclass(frozen=True)
class Event:
    """`seq` counts from 1 within an attempt; `at` is seconds since 1970; `data` is what the kind brings.

    | kind | data |
    |---|---|
    | started | `steps`, `step` (the one it goes on after, 0 at first), `has_gpu` |
    | phase | `phase` (fetching, loading, training, answering, saving, pushing …), `done_bytes`, `total_bytes` |
    | step | `step`, `steps`, `loss`, `learning_rate`, `grad_norm`, `tokens_per_s`, `memory_gb`, `left_s` |
    | evaluated | `step`, metric → number |
    | checkpoint | `step` |
    | warning | `text`; a hint brings its `hint` too (flat, diverging, overfitting, rate) |
    | out_of_memory | `step` |
    | answered | `key` of the question, `base`, `tuned` |
    | stopped | `step`, `steps` |
    | finished | fields of `engine.jobs.Result` |
    | failed | `reason` (a sentence for people), `code` (a word: nan, memory, disk, data, model, hub, crash) |
    """

    run: str
    attempt: str
    seq: int
    at: float
    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    v: int = 1

    def to_line(self) -> str:
        head = {name: getattr(self, name) for name in HEAD}
        return json.dumps({**head, **self.data}, ensure_ascii=False) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "Event":
        values = json.loads(line)
        head = {name: values.pop(name) for name in HEAD}
        return cls(**head, data=values)


class EventLog:
    """The writing end: one process appends, and a line is written whole or not at all."""

    def __init__(self, folder: Path, run: str, attempt: str) -> None:
        self.path = folder / "events.jsonl"
        self.run = run
        self.attempt = attempt
        self.seq = max((event.seq for event in read_events(self.path)), default=0)

    def write(self, kind: str, **data: Any) -> Event:
        if kind not in KINDS:
            raise ValueError(f"no such kind of event: {kind}")
        self.seq += 1
        event = Event(self.run, self.attempt, self.seq, round(time.time(), 3), kind, data)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(event.to_line())
        fault.point(f"{self.attempt.rpartition('-')[0]}.{data.get('phase') or kind}")
        return event


def read_events(path: Path, after_seq: int = 0) -> list[Event]:
    """The events of a file above `after_seq`; a last line that is still being written is left for later."""
    if not path.exists():
        return []
    *lines, _unfinished = path.read_bytes().split(b"\n")
    return [event for event in whole_events(lines) if event.seq > after_seq]


def whole_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events of lines; a line that a full disk cut is passed over."""
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            yield Event.from_line(line.decode())
