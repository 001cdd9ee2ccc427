"""The tables of the work."""

from sqlalchemy import Column, Float, ForeignKey, Integer, MetaData, String, Table, Text, UniqueConstraint

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
