"""The one checker: what must hold over everything that was said, pushed and stored, whatever went wrong meanwhile.

I1 each accepted start makes exactly one run. I2 each run ends. I3 exactly one final message a run, in its thread.
I4 a run that succeeded has one commit in one repo, any other has none. I5 no two attempts commit: no run has two.
I6 no traceback and no token in anything that was said. I8 nothing runs any more. I9 what was said is what is stored.
(I7, that the rows are those of the file, is held by the tests of the reader.)
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from engine.jobs import Run, Status

SECRETS = re.compile(r"Traceback \(most recent|hf_[A-Za-z0-9]{8,}|File \"/")


@dataclass(frozen=True)
class Said:
    """A message that stands on the platform; `text` is everything that can be read in it."""

    key: str
    place: str
    title: str
    text: str


@dataclass(frozen=True)
class History:
    """`starts` counts the accepted ones; `commits` are (repo, run) as the Hub has them; `processes` are left over."""

    starts: int
    runs: Sequence[Run]
    places: dict[str, str]
    said: Sequence[Said]
    commits: Sequence[tuple[str, str]]
    processes: Sequence[int] = field(default_factory=tuple)


def broken(history: History) -> list[str]:
    """The invariants that do not hold, in words."""
    return [*_counts(history), *_messages(history), *_commits(history)]


def _counts(history: History) -> Iterator[str]:
    if len(history.runs) != history.starts:
        yield f"I1: {history.starts} starts made {len(history.runs)} runs"
    for run in history.runs:
        if not run.status.is_over:
            yield f"I2: run {run.id} is still {run.status}"
    if history.processes:
        yield f"I8: processes {list(history.processes)} are left"


def _messages(history: History) -> Iterator[str]:
    keys = Counter(said.key for said in history.said)
    yield from (f"I3: {key} stands there {count} times" for key, count in keys.items() if count > 1)
    by_key = {said.key: said for said in history.said}
    for run in history.runs:
        final, live = by_key.get(f"run/{run.id}/final"), by_key.get(f"run/{run.id}/live")
        if final is None or final.place != history.places[run.id]:
            yield f"I3: run {run.id} has no final message in its thread"
        elif final.title != f"Run {run.id} {run.status}":
            yield f"I9: run {run.id} is {run.status}, its final message says {final.title}"
        if live is None or live.title != f"Run {run.id} · {run.status}":
            yield f"I9: run {run.id} is {run.status}, its living message says {live and live.title}"
    yield from (f"I6: {said.key} says {found[0]}" for said in history.said if (found := SECRETS.search(said.text)))


def _commits(history: History) -> Iterator[str]:
    commits = Counter(run for _, run in history.commits)
    for run in history.runs:
        expected = 1 if run.status is Status.succeeded and run.spec.target.repo else 0
        if commits[run.id] != expected:
            yield f"I4: run {run.id} {run.status} has {commits[run.id]} commits"
