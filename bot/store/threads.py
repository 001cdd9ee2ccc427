"""The threads. The files that lie in one, and a request that still waits for its file."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from bot.chat import Place
from bot.store.tables import insert_if_new, pending, thread_files


@dataclass(frozen=True)
class ThreadFile:
    sha256: str
    name: str


def add_file(db: Connection, place: Place, file: ThreadFile, at: float) -> None:
    """The latest of a thread is the one that a command without a file name means."""
    values = {"place": place.id, "sha256": file.sha256, "name": file.name, "at": at}
    if not insert_if_new(db, thread_files, values):
        mine = (thread_files.c.place == place.id) & (thread_files.c.sha256 == file.sha256)
        db.execute(thread_files.update().where(mine).values(name=file.name, at=at))


def files(db: Connection, place: Place) -> list[ThreadFile]:
    """The files of a thread, the latest first."""
    query = sa.select(thread_files.c.sha256, thread_files.c.name).where(thread_files.c.place == place.id)
    return [ThreadFile(*row) for row in db.execute(query.order_by(thread_files.c.at.desc()))]


def holders(db: Connection, sha256: str) -> list[tuple[Place, str]]:
    """The threads that hold a content, each with the name that it has there."""
    query = sa.select(thread_files.c.place, thread_files.c.name).where(thread_files.c.sha256 == sha256)
    return [(Place(place), name) for place, name in db.execute(query)]


def remove_file(db: Connection, place: Place, sha256: str) -> int:
    """Forget a file of a thread; how many threads still hold the same content."""
    same = thread_files.c.sha256 == sha256
    db.execute(thread_files.delete().where(same & (thread_files.c.place == place.id)))
    return db.execute(sa.select(sa.func.count()).select_from(thread_files).where(same)).scalar_one()


def set_pending(db: Connection, place: Place, text: str) -> None:
    take_pending(db, place)
    db.execute(pending.insert().values(place=place.id, text=text))


def take_pending(db: Connection, place: Place) -> str:
    """The request that waits for a file in this thread, at most once; empty if there is none."""
    return db.execute(pending.delete().where(pending.c.place == place.id).returning(pending.c.text)).scalar() or ""
