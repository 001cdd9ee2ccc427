"""What attempts reported."""

from collections.abc import Sequence

from sqlalchemy import Connection, insert, select

from engine.events import Event
from engine.store.tables import events_table


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


def _event_row(run_id: str, event: Event) -> dict[str, object]:
    row = {"attempt": event.attempt, "seq": event.seq, "kind": event.kind, "line": event.to_line()}
    return {"run": int(run_id), **row}
