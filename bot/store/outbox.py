"""The outbox. What is to be said; a key names one message for ever, and saying it anew edits it."""

from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from bot.chat import Message, MessageId, Place
from bot.redact import redactor
from bot.store.tables import insert_if_new, outbox, to_path, to_text


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
    body = to_text(redactor.value(message))
    values = {"key": message.key, "place": place.id, "body": body, "version": 1, "sent_version": 0}
    if not insert_if_new(db, outbox, {**values, "sent_at": 0.0, "due_at": 0.0}):
        changed = (outbox.c.key == message.key) & (outbox.c.body != body)
        db.execute(outbox.update().where(changed).values(body=body, version=outbox.c.version + 1))


def said(db: Connection, key: str) -> Message | None:
    """The message of that key as it was last said."""
    body = db.execute(sa.select(outbox.c.body).where(outbox.c.key == key)).scalar()
    return msgspec.json.decode(body, type=Message, dec_hook=to_path) if body else None


def said_with(db: Connection, place: Place, action: str) -> Message | None:
    """The latest message of a place that has a button with this action."""
    holds = outbox.c.body.contains(f'"{action}"', autoescape=True)
    query = sa.select(outbox.c.body).where(outbox.c.place == place.id, holds).order_by(outbox.c.seq.desc()).limit(1)
    body = db.execute(query).scalar()
    return msgspec.json.decode(body, type=Message, dec_hook=to_path) if body else None


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
        message = msgspec.json.decode(row.body, type=Message, dec_hook=to_path)
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
