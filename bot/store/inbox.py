"""The inbox. What arrived, stored before the platform is told so."""

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

import bot.chat
from bot.chat import Incoming, Person, Place
from bot.store.tables import cursors, inbox, insert_if_new, to_text


def receive(db: Connection, incoming: Incoming, at: float) -> bool:
    """Store it; False if the same thing was stored before."""
    body = to_text({"kind": type(incoming.what).__name__, "incoming": incoming})
    return insert_if_new(db, inbox, {"key": incoming.key, "body": body, "at": at, "done_at": None})


def unanswered(db: Connection) -> list[Incoming]:
    """What was received and not answered yet, oldest first."""
    rows = db.execute(sa.select(inbox.c.body).where(inbox.c.done_at.is_(None)).order_by(inbox.c.at))
    return [_incoming(body) for (body,) in rows]


def answered(db: Connection, key: str, at: float) -> None:
    db.execute(inbox.update().where(inbox.c.key == key).values(done_at=at))


def forget_answered(db: Connection, before: float, most: int = 1000) -> int:
    """Remove what was answered before that time, so many rows at most; returns how many went."""
    old = sa.select(inbox.c.key).where(inbox.c.done_at < before).limit(most)
    return db.execute(inbox.delete().where(inbox.c.key.in_(old))).rowcount


def _incoming(body: str) -> Incoming:
    values = msgspec.json.decode(body)
    kind = getattr(bot.chat, values["kind"])
    incoming = values["incoming"]
    what = msgspec.convert(incoming["what"], type=kind)
    place, person = Place(**incoming["place"]), Person(**incoming["person"])
    return Incoming(incoming["key"], place, person, what)


def save_cursor(db: Connection, chat: str, cursor: str) -> None:
    if not insert_if_new(db, cursors, {"chat": chat, "cursor": cursor}):
        db.execute(cursors.update().where(cursors.c.chat == chat).values(cursor=cursor))


def cursor(db: Connection, chat: str) -> str:
    return db.execute(sa.select(cursors.c.cursor).where(cursors.c.chat == chat)).scalar() or ""
