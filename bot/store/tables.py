"""The tables of the conversation, and how values lie in them."""

from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import Column, Connection, Text
from sqlalchemy.dialects import postgresql, sqlite

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
    Column("hours", sa.Float, nullable=False, server_default="0"),
)
watches = sa.Table(
    "watches",
    metadata,
    Column("run", Text, primary_key=True),
    Column("place", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("is_told", sa.Boolean, nullable=False, index=True),
    Column("is_private", sa.Boolean, nullable=False, server_default=sa.false()),
)
audit = sa.Table(
    "audit",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", sa.Float, nullable=False, index=True),
    Column("person", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("what", sa.String(32), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
)
approvals = sa.Table(
    "approvals",
    metadata,
    Column("run", Text, primary_key=True),
    Column("hours", sa.Float, nullable=False),
    Column("decided_by", Text),
    Column("is_approved", sa.Boolean),
    Column("at", sa.Float),
)
subscriptions = sa.Table(
    "subscriptions",
    metadata,
    Column("person", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("body", Text, nullable=False),
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
UNSENT = sa.text("sent_version < version AND gone IS NULL")
"""Of very many letters nearly all are sent: the few others are found by an index of their own."""
sa.Index("outbox_unsent", outbox.c.seq, sqlite_where=UNSENT, postgresql_where=UNSENT)


def to_text(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def to_path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value


def insert_if_new(db: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """True if the row was not there yet."""
    insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    row = insert(table).values(**values).on_conflict_do_nothing().returning(sa.literal(1))
    return db.execute(row).first() is not None
