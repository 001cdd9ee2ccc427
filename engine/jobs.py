"""What a run is to do (`JobSpec`) and how it stands (`Run`). Values only; nothing here does anything."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

Value = str | int | float | bool
"""What a training parameter may be."""


class Status(StrEnum):
    """The states of a run; the last three are final."""

    waiting = "waiting"
    queued = "queued"
    running = "running"
    trained = "trained"
    pushing = "pushing"
    succeeded = "succeeded"
    failed = "failed"
    cancelled = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in (Status.succeeded, Status.failed, Status.cancelled)


@dataclass(frozen=True)
class Model:
    """A base model: a repo id on the Hub, pinned to a commit, or a folder of this machine.

    `folder` is known to our side only: it is never written into a run's `spec.json`, where
    every path is relative and the base model lies in `model/`. `run` is the run of ours that made it, empty for
    a model from elsewhere; `folder` is then that run's, and a `revision` is given only where all of its weights are on
    the Hub.
    """

    id: str
    revision: str = ""
    folder: str = ""
    run: str = ""


@dataclass(frozen=True)
class Source:
    """Rows that somebody uploaded: which file, and how its columns are to be read.

    `mapping` gives for each column that the method needs the column of the file that holds it,
    e.g. `{"prompt": "question", "text": "answer"}`. `wants_unescape` turns the two characters
    backslash-n of a cell into a line break; `as_conversation` reads turn markers in `text`
    (`human: … bot: …`) as a conversation. With `marks_are_text` the marks of a chat template in a cell are text
    in language modeling too, as they always are in turns and in pairs.
    """

    name: str
    sha256: str
    mapping: Mapping[str, str]
    wants_unescape: bool = False
    as_conversation: bool = False
    marks_are_text: bool = False


@dataclass(frozen=True)
class Target:
    """Where the model goes: a repo id, empty when it stays on this machine.

    `is_exact` repos get no number behind their name where it is taken. With `is_pull_request` the repo is somebody's
    already, and gets the model as a pull request.
    """

    repo: str = ""
    is_private: bool = True
    is_exact: bool = False
    is_pull_request: bool = False


@dataclass(frozen=True)
class JobSpec:
    """What a run is to do. Written to the run's folder as `spec.json`; holds no secret and no absolute path.

    `requester`, `group` and `channel` are opaque words of whoever asked. `parameters` are the effective ones,
    as `engine.plan.parameters` names them.
    """

    method: str
    model: Model
    train: Source
    valid: Source | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    target: Target = Target()
    requester: str = ""
    group: str = ""
    channel: str = ""
    executor: str = ""
    """Where it trains, of the executors that the operator allows; empty is the usual one."""
    v: int = 1


@dataclass(frozen=True)
class Progress:
    """The last that was heard of a run at work. Times in seconds; `losses` is thinned to at most 60 points."""

    phase: str = ""
    step: int = 0
    steps: int = 0
    loss: float | None = None
    losses: tuple[float, ...] = ()
    learning_rate: float | None = None
    tokens_per_s: float | None = None
    left_s: float | None = None
    done_bytes: int = 0
    total_bytes: int = 0
    notices: tuple[str, ...] = ()
    grad_norm: float | None = None
    memory_gb: float | None = None
    """The most that the training held at once so far: of the GPU where there is one."""
    saved_step: int = 0
    """The step of the last checkpoint."""
    has_gpu: bool = False


@dataclass(frozen=True)
class Answer:
    """The same prompt put to the base model and to the tuned one (reward: scores; mlm: filled masks)."""

    prompt: str
    base: str
    tuned: str
    expected: str = ""


@dataclass(frozen=True)
class Result:
    """What a run brought. `metrics` are the method's own, e.g. `eval_loss`, with `base_…` for the untuned model.

    `url` opens the repo for people who may see it; `snippet` is Python that loads the model.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    are_answers_held_out: bool = False
    repo: str = ""
    revision: str = ""
    url: str = ""
    is_private: bool = True
    snippet: str = ""
    train_s: float = 0.0
    rows: int = 0
    """How many rows of the file the loop really took, as it counted them."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Name → sha256 of every file of the model, as read back from the Hub."""


@dataclass(frozen=True)
class Attempt:
    """One try at one of the three children of a run. Its folder is `<run>/attempts/<kind>-<number>`."""

    run: str
    kind: str
    """`fetch`, `train` or `push`"""
    number: int
    run_folder: Path

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def folder(self) -> Path:
        return self.run_folder / "attempts" / self.name


@dataclass(frozen=True)
class Run:
    """How a job stands. Times are seconds since 1970, UTC; `reason` is a sentence for people."""

    id: str
    spec: JobSpec
    status: Status = Status.queued
    attempt: str = ""
    """The attempt at work or the last one, e.g. `train-1`."""
    tries_before: int = 0
    """Attempts of that kind that no longer count: those before somebody woke a push that was held."""
    cursor: int = 0
    """The highest `seq` of that attempt that is already in this value."""
    done: str = ""
    """The last child that ended well: `fetch`, `train` or `push`."""
    progress: Progress = Progress()
    result: Result = Result()
    reason: str = ""
    trouble: str = ""
    """What kind of failure ended it: memory, nan, hang, data, disk, model, hub or crash; empty for none."""
    cancel: str = ""
    """Empty, `drop` or `save`: what somebody asked for."""
    again: str = ""
    """Why the last child is to be started once more, as a sentence; empty when it is not."""
    has_less_memory: bool = False
    """Whether an attempt ran out of memory, so that the next one takes half the batch."""
    held_at: float = 0.0
    """Since when a trained model waits for somebody, because its push was refused; 0 while it does not."""
    away_since: float = 0.0
    """Since when the Hub cannot be reached by its pushes; 0 where it can."""
    due_at: float = 0.0
    """When the model is pushed again by itself; 0 for at once."""
    of: str = ""
    """The run that this one goes on with or repeats."""
    resumes: bool = False
    """Whether it begins at the last checkpoint of that run."""
    estimate_s: float = 0.0
    """What it was estimated to take when it was planned; 0 for unknown."""
    queued_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
