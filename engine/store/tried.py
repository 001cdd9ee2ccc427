"""The attempts of runs, with their handles."""

from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select, update

from engine.executor import Handle
from engine.jobs import Attempt
from engine.store.tables import attempts_table


@dataclass(frozen=True)
class Tried:
    """An attempt as it is stored; `ended_at` is None while it may still run."""

    run: str
    kind: str
    number: int
    handle: Handle
    started_at: float
    ended_at: float | None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"


def add_attempt(db: Connection, attempt: Attempt, handle: Handle, now: float) -> None:
    """Store an attempt and its handle; this comes before `submit`."""
    values = {"run": int(attempt.run), "kind": attempt.kind, "number": attempt.number, "started_at": now}
    db.execute(insert(attempts_table).values(**values, executor=handle.executor, handle=handle.id))


def end_attempt(db: Connection, tried: Tried, now: float) -> None:
    columns = attempts_table.c
    same = (columns.run == int(tried.run)) & (columns.kind == tried.kind) & (columns.number == tried.number)
    db.execute(update(attempts_table).where(same).values(ended_at=now))


def attempts(db: Connection, run_id: str) -> list[Tried]:
    """All attempts of a run, oldest first."""
    chosen = select(attempts_table).where(attempts_table.c.run == int(run_id)).order_by(attempts_table.c.id)
    return [_tried(row) for row in db.execute(chosen)]


def open_attempts(db: Connection) -> list[Tried]:
    """Every attempt that may still run, of any run."""
    chosen = select(attempts_table).where(attempts_table.c.ended_at.is_(None)).order_by(attempts_table.c.id)
    return [_tried(row) for row in db.execute(chosen)]


def _tried(row: Row[tuple[int, ...]]) -> Tried:
    handle = Handle(row.executor, row.handle)
    return Tried(str(row.run), row.kind, row.number, handle, row.started_at, row.ended_at)
