"""What people have used, and what is to be forgotten of it. Each function takes a connection, as the store's do."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
from sqlalchemy import Connection, case, delete, func, select

from engine import store
from engine.jobs import Run
from engine.store import attempts_table, events_table, runs, uploads
from engine.work.asking.questions import questions


def count_queued_since(db: Connection, requester: str, since: float) -> int:
    """How many runs of a person were queued at or after `since`, in seconds since 1970."""
    texts = db.execute(select(runs.c.run).where(runs.c.requester == requester)).scalars()
    return sum(msgspec.json.decode(text, type=Run).queued_at >= since for text in texts)


def hours_trained(db: Connection, requester: str, since: float, now: float) -> float:
    """For how many hours the trainings of a person were at work after `since`, those that still are included."""
    columns = attempts_table.c
    ended = func.coalesce(columns.ended_at, now)
    began = case((columns.started_at < since, since), else_=columns.started_at)
    mine = (runs.c.requester == requester) & (columns.kind == "train") & (ended > since)
    joined = attempts_table.join(runs, runs.c.id == columns.run)
    seconds = db.execute(select(func.sum(ended - began)).select_from(joined).where(mine)).scalar()
    return float(seconds or 0.0) / 3600


def forget_run(db: Connection, run_id: str) -> None:
    """Take out what its trainings reported, and what it was asked; that there was such a run stays."""
    known = store.run(db, run_id)
    if known:
        db.execute(delete(questions).where(questions.c.run == run_id))
        db.execute(delete(events_table).where(events_table.c.run == int(run_id)))
        store.save_run(db, replace(known, result=replace(known.result, answers=())))


def remove_upload(db: Connection, sha256: str) -> None:
    db.execute(delete(uploads).where(uploads.c.sha256 == sha256))


Old = Callable[[Connection, float], list[str]]
"""Names what is older than a time, in seconds since 1970."""


def old_uploads(db: Connection, before: float) -> list[str]:
    """The hashes of files that were dropped before that time and that no open run needs."""
    needed = {source.sha256 for run in store.open_runs(db) for source in (run.spec.train, run.spec.valid) if source}
    found = db.execute(select(uploads.c.sha256).where(uploads.c.at < before)).scalars()
    return [sha256 for sha256 in found if sha256 not in needed]


def old_runs(db: Connection, before: float) -> list[str]:
    """The runs that ended before that time and that no open run goes back to."""
    needed = {run.of for run in store.open_runs(db)}
    return [run.id for run in store.ended_runs(db) if 0 < run.ended_at < before and run.id not in needed]
