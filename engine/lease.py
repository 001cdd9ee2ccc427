"""One bot a database. On SQLite a second one is refused; on PostgreSQL it stands by, and takes over when the first is
gone: killed (its session's lock is free), or paused or cut off (its lease, by the database's clock, ran out).

Whoever takes over gets the next token. Every transaction of the bot begins with a look at it (`fence`), so that one
that was paused, and does not know that it is no longer the owner, changes, posts and pushes nothing.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO

import sqlalchemy as sa
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DatabaseError, DBAPIError

from engine.database import make_engine
from engine.refusal import Refusal

log = structlog.get_logger()

LEASE_S = 60.0
RENEW_S = 10.0
POLL_S = 2.0
LOCK = 0x7472756E
"""The number of the advisory lock that the owner's session holds."""
NAME = "bot"

metadata = sa.MetaData()
leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)


class Lost(Exception):
    """Somebody else owns the database by now: this process may do nothing more."""


class SqliteLease:
    """A lock on a file beside the database, which ends with the process however that ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        database = sa.make_url(url).database
        self.path = Path(f"{database}.lock") if database and database != ":memory:" else None

    def fence(self, db: Connection) -> None:
        """Nobody can take over while this process lives."""

    @contextlib.asynccontextmanager
    async def held(self, migrate: Callable[[], None]) -> AsyncIterator[None]:
        """Raises Refusal that names the other process. `migrate` is called by the owner alone, in a thread."""
        with contextlib.ExitStack() as stack:
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock(stack.enter_context(self.path.open("a+")), self.path)
            try:
                await asyncio.to_thread(migrate)
                await asyncio.to_thread(look_through, self.url)
            except DatabaseError as error:
                raise Refusal(damaged(self.url, str(error.orig))) from error
            yield

    async def keep(self) -> None:
        await asyncio.Event().wait()


def look_through(url: str) -> None:
    """Raises DatabaseError where a page is damaged. It reads the whole file, about a second for a gigabyte."""
    engine = make_engine(url)
    try:
        with engine.begin() as db:
            found = db.execute(sa.text("PRAGMA quick_check(1)")).scalar()
            if found != "ok":
                raise DatabaseError("PRAGMA quick_check", None, sqlite3.DatabaseError(str(found).splitlines()[-1]))
    finally:
        engine.dispose()


def damaged(url: str, why: str) -> str:
    return (
        f"The database {sa.make_url(url).database} cannot be used: {why}. Nothing was changed. "
        "If it is read-only or the disk is full, mend that; if it is damaged, put your last backup in its place: "
        "docs/reliability.md says how."
    )


def lock(file: IO[str], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Refusal(
            f"{holder(path)} uses {path.with_suffix('')} already. Stop it first, or set another DATA."
        ) from None
    file.truncate(0)
    file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
    file.flush()


def holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"The bot with process {said['pid']} on {said['host']}"
    except (OSError, ValueError, KeyError):
        return "Another bot"


class PostgresLease:
    """`lease_s`, `renew_s` and `poll_s` in seconds: how long an owner may be silent, how often it speaks, and how often
    one that stands by looks."""

    def __init__(self, url: str, lease_s: float = LEASE_S, renew_s: float = RENEW_S, poll_s: float = POLL_S) -> None:
        self.lease_s = lease_s
        self.renew_s = renew_s
        self.poll_s = poll_s
        self.token = 0
        self._engine: Engine = make_engine(url)
        self._session: Connection | None = None

    def fence(self, db: Connection) -> None:
        """Raises Lost where another process has taken over; it cannot do so before this transaction ends."""
        token = db.execute(sa.select(leases.c.token).where(leases.c.name == NAME).with_for_update(read=True)).scalar()
        if token != self.token:
            raise Lost("another bot has taken over")

    @contextlib.asynccontextmanager
    async def held(self, migrate: Callable[[], None]) -> AsyncIterator[None]:
        """Wait until this process is the owner. `migrate` is called by the owner alone, in a thread."""
        if not await asyncio.to_thread(self._take, migrate):
            log.info("another bot is at work: standing by")
            while not await asyncio.to_thread(self._take, migrate):  # noqa: ASYNC110  # the database tells nobody
                await asyncio.sleep(self.poll_s)
        log.info("this bot is at work", token=self.token)
        try:
            yield
        finally:
            await asyncio.to_thread(self._let_go)

    async def keep(self) -> None:
        """Renew until cancelled. Raises Lost once another process is the owner; waits while there is no database."""
        while True:
            await asyncio.sleep(self.renew_s)
            try:
                await asyncio.to_thread(self._renew)
            except DBAPIError as error:
                log.warning("the lease could not be renewed", error=str(error.orig))
                self._let_go()

    def _take(self, migrate: Callable[[], None]) -> bool:
        """Become the owner, if nobody is; a session whose lease ran out is ended, so that the next look succeeds."""
        try:
            if self._has_lock():
                migrate()
                with self._engine.begin() as db:
                    self.token = take(db, identity(), self.lease_s)
                return True
            with self._engine.begin() as db:
                end_stale_session(db)
        except DBAPIError as error:
            log.warning("no database yet", error=str(error.orig))
            self._let_go()
        return False

    def _renew(self) -> None:
        has_lock = self._has_lock()
        with self._engine.begin() as db:
            if not renew(db, self.token, self.lease_s):
                raise Lost("another bot has taken over")
        if not has_lock:
            log.warning("the lock of this bot's session is not free yet")

    def _has_lock(self) -> bool:
        """Whether our session holds the lock; asking again is harmless, and tells whether the session lives."""
        if self._session is None:
            self._session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            held = "SELECT pg_try_advisory_lock(:lock)"
        else:
            held = "SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock AND granted"
            held += " AND pid = pg_backend_pid()"
        has_lock = bool(self._session.execute(sa.text(held), {"lock": LOCK}).scalar())
        if not has_lock:
            self._let_go()
        return has_lock

    def _let_go(self) -> None:
        """Closing the session frees its lock."""
        if self._session is not None:
            with contextlib.suppress(DBAPIError):
                self._session.invalidate()
                self._session.close()
            self._session = None
        self._engine.dispose()


Lease = SqliteLease | PostgresLease


def lease_for(url: str) -> Lease:
    return SqliteLease(url) if url.startswith("sqlite") else PostgresLease(url)


def identity() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def now(db: Connection) -> float:
    """The database's clock, in seconds since 1970: those of two hosts may differ."""
    return float(db.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())


def take(db: Connection, owner: str, lease_s: float) -> int:
    """The new owner's token."""
    old = db.execute(sa.select(leases.c.token).where(leases.c.name == NAME).with_for_update()).scalar()
    values = {"token": (old or 0) + 1, "owner": owner, "expires_at": now(db) + lease_s}
    if old is None:
        db.execute(leases.insert().values(name=NAME, **values))
    else:
        db.execute(leases.update().where(leases.c.name == NAME).values(**values))
    return int(values["token"])


def renew(db: Connection, token: int, lease_s: float) -> bool:
    ours = (leases.c.name == NAME) & (leases.c.token == token)
    return bool(db.execute(leases.update().where(ours).values(expires_at=now(db) + lease_s)).rowcount)


def end_stale_session(db: Connection) -> None:
    """End the session that holds the lock if its lease ran out: that process is paused, or cut off."""
    expires_at = db.execute(sa.select(leases.c.expires_at).where(leases.c.name == NAME)).scalar()
    if expires_at is None or expires_at > now(db):
        return
    holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = :lock AND granted"
    db.execute(sa.text(holders), {"lock": LOCK})
