"""The schedules. When runs are to start, and each time that came: no time of a schedule is answered twice."""

from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Column, Connection, Text

from bot.chat import Person, Place
from bot.store.tables import insert_if_new, metadata, to_text
from engine.plan.calendar import When

schedules = sa.Table(
    "schedules",
    metadata,
    Column("id", sa.Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("run", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("is_private", sa.Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", sa.String(8), nullable=False, index=True),
    Column("next_at", sa.Float, nullable=False),
    sqlite_autoincrement=True,  # an id that people were told is never given again
)
fires = sa.Table(
    "fires",
    metadata,
    Column("schedule", sa.Integer, sa.ForeignKey("schedules.id"), primary_key=True),
    Column("at", sa.Float, primary_key=True),
    Column("run", Text, nullable=False),
)


@dataclass(frozen=True)
class Schedule:
    """`run` is repeated each time; of one that happens once, it waits for that time itself. `next_at` in seconds since
    1970. `state` is `asked` until somebody saves it, then `active`, then `over`.
    """

    key: str
    run: str
    place: Place
    person: Person
    is_private: bool
    when: When
    next_at: float
    state: str = "asked"
    id: str = ""


def add_schedule(db: Connection, new: Schedule) -> Schedule:
    """Store it, or find the one that the same message asked for before a crash."""
    insert_if_new(db, schedules, {**_values(new), "key": new.key})
    row = db.execute(sa.select(schedules).where(schedules.c.key == new.key)).one()
    return _schedule(row)


def schedule(db: Connection, schedule_id: str) -> Schedule | None:
    row = db.execute(sa.select(schedules).where(schedules.c.id == int(schedule_id))).first()
    return _schedule(row) if row else None


def save_schedule(db: Connection, changed: Schedule) -> None:
    db.execute(schedules.update().where(schedules.c.id == int(changed.id)).values(**_values(changed)))


def active_schedules(db: Connection) -> list[Schedule]:
    """The next to come first."""
    chosen = sa.select(schedules).where(schedules.c.state == "active")
    return [_schedule(row) for row in db.execute(chosen.order_by(schedules.c.next_at, schedules.c.id))]


def add_fire(db: Connection, fired: Schedule, run: str) -> bool:
    """Note that its time came and what was made of it; False if that time was answered before."""
    return insert_if_new(db, fires, {"schedule": int(fired.id), "at": fired.next_at, "run": run})


def _values(schedule: Schedule) -> dict[str, Any]:
    who = {"place": schedule.place.id, "person": to_text(schedule.person), "is_private": schedule.is_private}
    when = {"body": to_text(schedule.when), "state": schedule.state, "next_at": schedule.next_at}
    return {"run": schedule.run, **who, **when}


def _schedule(row: Any) -> Schedule:
    person, when = msgspec.json.decode(row.person, type=Person), msgspec.json.decode(row.body, type=When)
    place, is_private = Place(row.place), bool(row.is_private)
    return Schedule(row.key, row.run, place, person, is_private, when, row.next_at, row.state, str(row.id))
