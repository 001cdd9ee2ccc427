"""The watches. The thread that a run is told in."""

from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from bot.chat import Person, Place
from bot.store.tables import to_text, watches


@dataclass(frozen=True)
class Watch:
    run: str
    place: Place
    person: Person
    is_private: bool = False
    """Whether only the members of its place may know of it."""


def watch(db: Connection, run: str, place: Place, person: Person, is_private: bool = False) -> None:
    values = {"place": place.id, "person": to_text(person), "is_told": False, "is_private": is_private}
    db.execute(watches.insert().values(run=run, **values))


def watched(db: Connection) -> list[Watch]:
    """The runs whose end was not told yet."""
    return [_watch(row) for row in db.execute(sa.select(watches).where(watches.c.is_told.is_(False)))]


def watch_of(db: Connection, run: str) -> Watch | None:
    row = db.execute(sa.select(watches).where(watches.c.run == run)).first()
    return _watch(row) if row else None


def _watch(row: Any) -> Watch:
    return Watch(row.run, Place(row.place), msgspec.json.decode(row.person, type=Person), bool(row.is_private))


def told(db: Connection, run: str) -> None:
    db.execute(watches.update().where(watches.c.run == run).values(is_told=True))
