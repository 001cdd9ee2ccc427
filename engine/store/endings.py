"""How the scheduler ends a run in the database: each a transaction over the run as it is by then."""

from sqlalchemy import Connection

from engine import life
from engine.jobs import Run
from engine.store.jobs import run as find
from engine.store.jobs import save_run
from engine.store.tried import attempts, end_attempt


def end_cancelled(db: Connection, run_id: str, now: float) -> None:
    run = known(db, run_id)
    if run.cancel and not run.status.is_over:
        save_run(db, life.cancelled(run, now))


def expire(db: Connection, run_id: str, now: float, keep_s: float) -> None:
    save_run(db, life.expired(known(db, run_id), now, keep_s))


def fail(db: Connection, run_id: str, reason: str, now: float, trouble: str = "crash") -> Run:
    run = known(db, run_id)
    if not run.status.is_over:
        run = life.failed(run, reason, now, trouble)
        save_run(db, run)
    return run


def give_up(db: Connection, run_id: str, reason: str, now: float, trouble: str) -> None:
    """End a run that could not be started, with the attempt that was meant for it."""
    for tried in attempts(db, run_id):
        if tried.ended_at is None:
            end_attempt(db, tried, now)
    fail(db, run_id, reason, now, trouble)


def known(db: Connection, run_id: str) -> Run:
    run = find(db, run_id)
    if run is None:
        raise LookupError(f"run {run_id}")
    return run
