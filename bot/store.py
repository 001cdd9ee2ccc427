"""What was said: inbox, drafts, threads, outbox, and which run belongs to which thread.

Functions take a connection, so that several steps, of the engine's store too, can share one transaction.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Column, Connection, Text
from sqlalchemy.dialects import postgresql, sqlite

import bot.chat
from bot.chat import Incoming, Message, MessageId, Person, Place
from bot.redact import redactor
from bot.talk.commands import Plan
from engine.jobs import JobSpec

metadata = sa.MetaData()

inbox = sa.Table(
    "inbox",
    metadata,
    Column("key", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", sa.Float, nullable=False),
    Column("done_at", sa.Float, index=True),
)
cursors = sa.Table("cursors", metadata, Column("chat", Text, primary_key=True), Column("cursor", Text, nullable=False))
thread_files = sa.Table(
    "thread_files",
    metadata,
    Column("place", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("at", sa.Float, nullable=False),
)
pending = sa.Table("pending", metadata, Column("place", Text, primary_key=True), Column("text", Text, nullable=False))
drafts = sa.Table(
    "drafts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("at", sa.Float, nullable=False),
)
watches = sa.Table(
    "watches",
    metadata,
    Column("run", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("is_told", sa.Boolean, nullable=False, index=True),
)
outbox = sa.Table(
    "outbox",
    metadata,
    Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("place", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("version", sa.Integer, nullable=False),
    Column("sent_version", sa.Integer, nullable=False),
    Column("message", Text),
    Column("sent_at", sa.Float, nullable=False),
    Column("due_at", sa.Float, nullable=False),
    Column("gone", Text),
)


def _to_text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _to_path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value


# ---- inbox: what arrived, stored before the platform is told so


def receive(db: Connection, incoming: Incoming, at: float) -> bool:
    """Store it; False if the same thing was stored before."""
    body = _to_text({"kind": type(incoming.what).__name__, "incoming": incoming})
    return _insert_if_new(db, inbox, {"key": incoming.key, "body": body, "at": at, "done_at": None})


def unanswered(db: Connection) -> list[Incoming]:
    """What was received and not answered yet, oldest first."""
    rows = db.execute(sa.select(inbox.c.body).where(inbox.c.done_at.is_(None)).order_by(inbox.c.at))
    return [_incoming(body) for (body,) in rows]


def answered(db: Connection, key: str, at: float) -> None:
    db.execute(inbox.update().where(inbox.c.key == key).values(done_at=at))


def _incoming(body: str) -> Incoming:
    values = msgspec.json.decode(body)
    kind = getattr(bot.chat, values["kind"])
    incoming = values["incoming"]
    what = msgspec.convert(incoming["what"], type=kind)
    place, person = Place(**incoming["place"]), Person(**incoming["person"])
    return Incoming(incoming["key"], place, person, what)


def save_cursor(db: Connection, chat: str, cursor: str) -> None:
    if not _insert_if_new(db, cursors, {"chat": chat, "cursor": cursor}):
        db.execute(cursors.update().where(cursors.c.chat == chat).values(cursor=cursor))


def cursor(db: Connection, chat: str) -> str:
    return db.execute(sa.select(cursors.c.cursor).where(cursors.c.chat == chat)).scalar() or ""


# ---- threads: the files that lie in one, and a request that still waits for its file


@dataclass(frozen=True)
class ThreadFile:
    sha256: str
    name: str


def add_file(db: Connection, place: Place, file: ThreadFile, at: float) -> None:
    """The latest of a thread is the one that a command without a file name means."""
    values = {"place": place.id, "sha256": file.sha256, "name": file.name, "at": at}
    if not _insert_if_new(db, thread_files, values):
        mine = (thread_files.c.place == place.id) & (thread_files.c.sha256 == file.sha256)
        db.execute(thread_files.update().where(mine).values(name=file.name, at=at))


def files(db: Connection, place: Place) -> list[ThreadFile]:
    """The files of a thread, the latest first."""
    query = sa.select(thread_files.c.sha256, thread_files.c.name).where(thread_files.c.place == place.id)
    return [ThreadFile(*row) for row in db.execute(query.order_by(thread_files.c.at.desc()))]


def set_pending(db: Connection, place: Place, text: str) -> None:
    take_pending(db, place)
    db.execute(pending.insert().values(place=place.id, text=text))


def take_pending(db: Connection, place: Place) -> str:
    """The request that waits for a file in this thread, at most once; empty if there is none."""
    return db.execute(pending.delete().where(pending.c.place == place.id).returning(pending.c.text)).scalar() or ""


# ---- drafts: a job spec that awaits a click


@dataclass(frozen=True)
class Draft:
    """A job spec that awaits a click; `message` is the key of the message that shows it, `request` what was asked."""

    id: str
    message: str
    request: Plan
    spec: JobSpec


def draft_id(key: str) -> str:
    """The id of the draft that answers what arrived under `key`: the same after a crash, so that there is one draft."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def add_draft(db: Connection, place: Place, draft: Draft, at: float) -> None:
    values = {"id": draft.id, "place": place.id, "message": draft.message, "at": at}
    _insert_if_new(db, drafts, {**values, "request": _to_text(draft.request), "spec": _to_text(draft.spec)})


def draft(db: Connection, key: str, place: Place) -> Draft | None:
    """A draft that awaits its click; it stays."""
    row = db.execute(sa.select(drafts).where((drafts.c.id == key) & (drafts.c.place == place.id))).first()
    return _draft(row) if row else None


def take_draft(db: Connection, key: str, place: Place) -> Draft | None:
    """Taking a draft deletes it, so that two clicks queue one run. None: it was taken, or belongs elsewhere."""
    mine = (drafts.c.id == key) & (drafts.c.place == place.id)
    row = db.execute(drafts.delete().where(mine).returning(drafts)).first()
    return _draft(row) if row else None


def _draft(row: Any) -> Draft:
    request = msgspec.json.decode(row.request, type=Plan)
    return Draft(row.id, row.message, request, msgspec.json.decode(row.spec, type=JobSpec))


# ---- watches: the thread that a run is told in


@dataclass(frozen=True)
class Watch:
    run: str
    place: Place
    person: Person


def watch(db: Connection, run: str, place: Place, person: Person) -> None:
    db.execute(watches.insert().values(run=run, place=place.id, person=_to_text(person), is_told=False))


def watched(db: Connection) -> list[Watch]:
    """The runs whose end was not told yet."""
    return [_watch(row) for row in db.execute(sa.select(watches).where(watches.c.is_told.is_(False)))]


def watch_of(db: Connection, run: str) -> Watch | None:
    row = db.execute(sa.select(watches).where(watches.c.run == run)).first()
    return _watch(row) if row else None


def _watch(row: Any) -> Watch:
    return Watch(row.run, Place(row.place), msgspec.json.decode(row.person, type=Person))


def told(db: Connection, run: str) -> None:
    db.execute(watches.update().where(watches.c.run == run).values(is_told=True))


# ---- outbox: what is to be said; a key names one message for ever, and saying it anew edits it


@dataclass(frozen=True)
class Letter:
    """A message on its way: posted already if it has an `id`, and then to be edited."""

    seq: int
    place: Place
    message: Message
    version: int
    id: MessageId | None
    sent_at: float


def say(db: Connection, place: Place, message: Message) -> None:
    """Have `message` shown in `place`: posted once, edited when its content changed, left alone when it did not.
    Secrets are taken out of it here, so that none lies in the outbox either."""
    body = _to_text(redactor.value(message))
    values = {"key": message.key, "place": place.id, "body": body, "version": 1, "sent_version": 0}
    if not _insert_if_new(db, outbox, {**values, "sent_at": 0.0, "due_at": 0.0}):
        changed = (outbox.c.key == message.key) & (outbox.c.body != body)
        db.execute(outbox.update().where(changed).values(body=body, version=outbox.c.version + 1))


def said(db: Connection, key: str) -> Message | None:
    """The message of that key as it was last said."""
    body = db.execute(sa.select(outbox.c.body).where(outbox.c.key == key)).scalar()
    return msgspec.json.decode(body, type=Message, dec_hook=_to_path) if body else None


def unsent(db: Connection, now: float) -> list[Letter]:
    """What is to be posted or edited by now, in the order in which it was first said; a thread whose first letter
    has to wait waits as a whole."""
    query = sa.select(outbox).where(outbox.c.sent_version < outbox.c.version, outbox.c.gone.is_(None))
    waiting: set[str] = set()
    letters = []
    for row in db.execute(query.order_by(outbox.c.seq)):
        if row.due_at > now or row.place in waiting:
            waiting.add(row.place)
            continue
        message = msgspec.json.decode(row.body, type=Message, dec_hook=_to_path)
        letters.append(Letter(row.seq, Place(row.place), message, row.version, row.message, row.sent_at))
    return letters


def is_due(db: Connection, letter: Letter) -> bool:
    """Whether nobody sent it since it was read."""
    return bool(
        db.execute(sa.select(outbox.c.sent_version).where(outbox.c.seq == letter.seq)).scalar_one() < letter.version
    )


def sent(db: Connection, letter: Letter, message_id: MessageId, at: float) -> None:
    values = {"message": message_id, "sent_version": letter.version, "sent_at": at}
    db.execute(outbox.update().where(outbox.c.seq == letter.seq).values(**values))


def postpone(db: Connection, letter: Letter, until: float) -> None:
    db.execute(outbox.update().where(outbox.c.seq == letter.seq).values(due_at=until))


def give_up(db: Connection, letter: Letter, reason: str) -> None:
    """The place is gone or closed to us: the letter is kept with the reason, and never tried again."""
    db.execute(outbox.update().where(outbox.c.seq == letter.seq).values(gone=reason))


def _insert_if_new(db: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """True if the row was not there yet."""
    insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    row = insert(table).values(**values).on_conflict_do_nothing().returning(sa.literal(1))
    return db.execute(row).first() is not None
