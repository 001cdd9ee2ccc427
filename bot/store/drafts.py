"""The drafts. A job spec that awaits a click."""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from bot.chat import Place
from bot.store.tables import drafts, insert_if_new, to_text
from bot.talk.commands import Plan
from engine.jobs import JobSpec


@dataclass(frozen=True)
class Draft:
    """A job spec that awaits a click; `message` is the key of the message that shows it, `request` what was asked."""

    id: str
    message: str
    request: Plan
    spec: JobSpec
    hours: float = 0.0
    """What the run is estimated to take."""


def draft_id(key: str) -> str:
    """The id of the draft that answers what arrived under `key`: the same after a crash, so that there is one draft."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def add_draft(db: Connection, place: Place, draft: Draft, at: float) -> None:
    values = {"id": draft.id, "place": place.id, "message": draft.message, "at": at, "hours": draft.hours}
    insert_if_new(db, drafts, {**values, "request": to_text(draft.request), "spec": to_text(draft.spec)})


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
    return Draft(row.id, row.message, request, msgspec.json.decode(row.spec, type=JobSpec), row.hours)
