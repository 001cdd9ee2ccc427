"""The runs: queued, saved, asked to end."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
from sqlalchemy import Connection, func, insert, select, update

from engine import life
from engine.jobs import JobSpec, Run, Status
from engine.store.tables import runs

OPEN = [str(status) for status in Status if not status.is_over]


def queue_run(db: Connection, spec: JobSpec, now: float, estimate_s: float = 0.0) -> Run:
    """A new run at the end of the queue."""
    return add_run(db, Run("", spec, queued_at=now, estimate_s=estimate_s))


def add_run(db: Connection, new: Run) -> Run:
    """Store a run that has no id yet; returns it with one."""
    values = {"status": str(new.status), "requester": new.spec.requester, "run": ""}
    key = db.execute(insert(runs).values(values).returning(runs.c.id)).scalar_one()
    added = replace(new, id=str(key))
    save_run(db, added)
    return added


def run(db: Connection, run_id: str) -> Run | None:
    if not is_run_id(run_id):
        return None
    text = db.execute(select(runs.c.run).where(runs.c.id == int(run_id))).scalar()
    return decode(text) if text is not None else None


def save_run(db: Connection, changed: Run) -> None:
    values = {"status": str(changed.status), "run": msgspec.json.encode(changed).decode()}
    db.execute(update(runs).where(runs.c.id == int(changed.id)).values(values))


def open_runs(db: Connection) -> list[Run]:
    """The runs that are not over, in queue order."""
    texts = db.execute(select(runs.c.run).where(runs.c.status.in_(OPEN)).order_by(runs.c.id)).scalars()
    return [decode(text) for text in texts]


def recent_runs(db: Connection, limit: int) -> list[Run]:
    """The latest runs, newest first."""
    texts = db.execute(select(runs.c.run).order_by(runs.c.id.desc()).limit(limit)).scalars()
    return [decode(text) for text in texts]


def count_open(db: Connection, requester: str) -> int:
    """How many runs of a person are not over."""
    theirs = (runs.c.requester == requester) & runs.c.status.in_(OPEN)
    return db.execute(select(func.count()).select_from(runs).where(theirs)).scalar_one()


def wake(db: Connection, run_id: str) -> None:
    """Have the model of a run that waits pushed now."""
    known = run(db, run_id)
    if known and (known.held_at or known.due_at):
        save_run(db, life.woken(known))


def ask_cancel(db: Connection, run_id: str, save: bool) -> bool:
    """Note that somebody wants the run to end; False when there is nothing left to cancel.

    Who asked to drop everything is not overruled by who asks to save.
    """
    known = run(db, run_id)
    if known is None or known.status.is_over:
        return False
    wanted = "save" if save and known.cancel != "drop" else "drop"
    save_run(db, replace(known, cancel=wanted))
    return True


def is_run_id(text: str) -> bool:
    """People type run ids; what is none must not reach the database as a number out of its range."""
    return text.isascii() and text.isdigit() and len(text) <= 15


def decode(text: str) -> Run:
    return msgspec.json.decode(text, type=Run)


def ended_runs(db: Connection) -> Iterator[Run]:
    """The runs that are over, one after the other: there may be very many."""
    texts = db.execute(select(runs.c.run).where(runs.c.status.notin_(OPEN)).order_by(runs.c.id)).scalars()
    return (decode(text) for text in texts)
