"""Whose turn it is: the queue, fair between people."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from engine.jobs import Run, Status
from engine.store.jobs import decode, open_runs, run
from engine.store.tables import runs


def position(db: Connection, run_id: str) -> int:
    """Place in the queue, 1 for the next; 0 for a run that does not wait there."""
    known = run(db, run_id)
    if known is None or known.status is not Status.queued:
        return 0
    waiting = [other.id for other in in_turn(db) if other.status is Status.queued]
    return waiting.index(run_id) + 1


def starts(in_turn: Sequence[Run], slots: int, now: float) -> dict[str, float]:
    """In how many seconds each queued run is likely to start, by run, as far as what is before it is estimated.

    Each run takes the place that is free first; of the runs at work counts what they said themselves.
    """
    begun = [run for run in in_turn if run.status is Status.running]
    left: list[float | None] = [_left(run, now) for run in begun]
    left += [0.0] * (slots - len(begun))
    found: dict[str, float] = {}
    for queued in (known for known in in_turn if known.status is Status.queued):
        if not left or None in left:
            break
        first = min(range(len(left)), key=lambda place: left[place] or 0.0)
        wait_s = left[first] or 0.0
        found[queued.id] = wait_s
        left[first] = wait_s + queued.estimate_s if queued.estimate_s else None
    return found


def _left(run: Run, now: float) -> float | None:
    """Seconds that a run at work is likely to take still; None where nobody knows."""
    if run.progress.left_s is not None:
        return run.progress.left_s
    return max(0.0, run.started_at + run.estimate_s - now) if run.estimate_s else None


def in_turn(db: Connection) -> list[Run]:
    """The open runs, those that wait in the order in which they may start."""
    opened = open_runs(db)
    requesters = {run.spec.requester for run in opened if run.status is Status.queued}
    return turns(opened, {name: _last_started(db, name) for name in requesters})


def _last_started(db: Connection, requester: str) -> float:
    """When a person's latest run that left the queue began; 0 for a first one."""
    theirs = (runs.c.requester == requester) & runs.c.status.notin_([str(Status.queued), str(Status.waiting)])
    text = db.execute(select(runs.c.run).where(theirs).order_by(runs.c.id.desc()).limit(1)).scalar()
    return decode(text).started_at if text else 0.0


def turns(runs: Sequence[Run], last_started: Mapping[str, float]) -> list[Run]:
    """Open runs as they are to be attended: those that have begun, then the queue.

    A queued run's turn is how many of its requester's runs are at work or before it. Of equal turns, the one comes
    first whose requester's latest run began longest ago (`last_started`, in seconds since 1970), then the older one.
    """
    begun = [run for run in runs if run.status is not Status.queued]
    ahead = Counter(run.spec.requester for run in begun if run.status is Status.running)
    waiting = []
    for queued in runs:
        if queued.status is Status.queued:
            who = queued.spec.requester
            waiting.append((ahead[who], last_started.get(who, 0.0), int(queued.id), queued))
            ahead[who] += 1
    return begun + [run for *_, run in sorted(waiting, key=lambda turn: turn[:3])]
