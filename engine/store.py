"""What is true: uploads, runs, attempts, events. Each function takes a connection, so that a caller can put several
steps of both stores into one transaction.

Specs and runs are JSON of their dataclasses; what is searched for has a column of its own.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    select,
    update,
)

from engine import life
from engine.events import Event
from engine.executor import Handle
from engine.jobs import Attempt, JobSpec, Run, Status

metadata = MetaData()

uploads = Table(
    "uploads",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("report", Text, nullable=False),
    Column("at", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("status", String(16), nullable=False, index=True),
    Column("requester", Text, nullable=False, index=True),
    Column("run", Text, nullable=False),
    sqlite_autoincrement=True,  # the id of a run that was removed is never given again
)

attempts_table = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("number", Integer, nullable=False),
    Column("executor", Text, nullable=False),
    Column("handle", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float, index=True),
    UniqueConstraint("run", "kind", "number", name="one_attempt_of_a_number"),
)

events_table = Table(
    "events",
    metadata,
    Column("run", ForeignKey("runs.id"), primary_key=True),
    Column("attempt", String(24), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("line", Text, nullable=False),
)

OPEN = [str(status) for status in Status if not status.is_over]


@dataclass(frozen=True)
class StoredUpload:
    """A file that was attached; `size` in bytes, `report` as the check wrote it, `at` in seconds since 1970."""

    sha256: str
    name: str
    size: int
    report: dict[str, object]
    at: float


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


def add_upload(db: Connection, sha256: str, name: str, size: int, report: dict[str, object], at: float) -> None:
    """Store an upload; the same bytes again replace its name and report."""
    db.execute(delete(uploads).where(uploads.c.sha256 == sha256))
    row = {"sha256": sha256, "name": name, "size": size, "report": json.dumps(report), "at": at}
    db.execute(insert(uploads).values(row))


def upload(db: Connection, sha256: str) -> StoredUpload | None:
    row = db.execute(select(uploads).where(uploads.c.sha256 == sha256)).first()
    return StoredUpload(row.sha256, row.name, row.size, json.loads(row.report), row.at) if row else None


def queue_run(db: Connection, spec: JobSpec, now: float) -> Run:
    """A new run at the end of the queue."""
    return add_run(db, Run("", spec, queued_at=now))


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
    return _decode(text) if text is not None else None


def save_run(db: Connection, changed: Run) -> None:
    values = {"status": str(changed.status), "run": msgspec.json.encode(changed).decode()}
    db.execute(update(runs).where(runs.c.id == int(changed.id)).values(values))


def open_runs(db: Connection) -> list[Run]:
    """The runs that are not over, in queue order."""
    texts = db.execute(select(runs.c.run).where(runs.c.status.in_(OPEN)).order_by(runs.c.id)).scalars()
    return [_decode(text) for text in texts]


def recent_runs(db: Connection, limit: int) -> list[Run]:
    """The latest runs, newest first."""
    texts = db.execute(select(runs.c.run).order_by(runs.c.id.desc()).limit(limit)).scalars()
    return [_decode(text) for text in texts]


def position(db: Connection, run_id: str) -> int:
    """Place in the queue, 1 for the next; 0 for a run that does not wait there."""
    known = run(db, run_id)
    if known is None or known.status is not Status.queued:
        return 0
    waiting = [other.id for other in in_turn(db) if other.status is Status.queued]
    return waiting.index(run_id) + 1


def in_turn(db: Connection) -> list[Run]:
    """The open runs, those that wait in the order in which they may start."""
    opened = open_runs(db)
    requesters = {run.spec.requester for run in opened if run.status is Status.queued}
    return turns(opened, {name: _last_started(db, name) for name in requesters})


def _last_started(db: Connection, requester: str) -> float:
    """When a person's latest run that left the queue began; 0 for a first one."""
    theirs = (runs.c.requester == requester) & (runs.c.status != str(Status.queued))
    text = db.execute(select(runs.c.run).where(theirs).order_by(runs.c.id.desc()).limit(1)).scalar()
    return _decode(text).started_at if text else 0.0


def count_open(db: Connection, requester: str) -> int:
    """How many runs of a person are not over."""
    theirs = (runs.c.requester == requester) & runs.c.status.in_(OPEN)
    return db.execute(select(func.count()).select_from(runs).where(theirs)).scalar_one()


def wake(db: Connection, run_id: str) -> None:
    """Have the model of a held run pushed again."""
    known = run(db, run_id)
    if known and known.held_at:
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


def add_events(db: Connection, run_id: str, events: Sequence[Event]) -> list[Event]:
    """Store events and return those that were not stored before, in order."""
    if not events:
        return []
    columns = events_table.c
    ours = (columns.run == int(run_id)) & (columns.seq >= min(event.seq for event in events))
    known = {tuple(row) for row in db.execute(select(columns.attempt, columns.seq).where(ours))}
    fresh = {key: event for event in events if (key := (event.attempt, event.seq)) not in known}
    if fresh:
        db.execute(insert(events_table), [_event_row(run_id, event) for event in fresh.values()])
    return list(fresh.values())


def events(db: Connection, run_id: str, attempt: str) -> list[Event]:
    """What an attempt reported, in order."""
    same = (events_table.c.run == int(run_id)) & (events_table.c.attempt == attempt)
    lines = db.execute(select(events_table.c.line).where(same).order_by(events_table.c.seq)).scalars()
    return [Event.from_line(line) for line in lines]


def turns(runs: Sequence[Run], last_started: Mapping[str, float]) -> list[Run]:
    """Open runs as they are to be attended: those that have begun, then the queue.

    A queued run's turn is how many of its requester's runs are at work or before it. Of equal turns, the one comes
    first whose requester's latest run began longest ago (`last_started`, in seconds since 1970), then the older one.
    """
    begun = [run for run in runs if run.status is not Status.queued]
    ahead = Counter(run.spec.requester for run in begun if run.status is Status.running)
    waiting = []
    for run in runs:
        if run.status is Status.queued:
            who = run.spec.requester
            waiting.append((ahead[who], last_started.get(who, 0.0), int(run.id), run))
            ahead[who] += 1
    return begun + [run for *_, run in sorted(waiting, key=lambda turn: turn[:3])]


def is_run_id(text: str) -> bool:
    """People type run ids; what is none must not reach the database as a number out of its range."""
    return text.isascii() and text.isdigit() and len(text) <= 15


def _decode(text: str) -> Run:
    return msgspec.json.decode(text, type=Run)


def _event_row(run_id: str, event: Event) -> dict[str, object]:
    row = {"attempt": event.attempt, "seq": event.seq, "kind": event.kind, "line": event.to_line()}
    return {"run": int(run_id), **row}


def _tried(row: Row[tuple[int, ...]]) -> Tried:
    handle = Handle(row.executor, row.handle)
    return Tried(str(row.run), row.kind, row.number, handle, row.started_at, row.ended_at)
