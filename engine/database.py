"""One database, one writer thread: synchronous SQLAlchemy Core behind `await`.

Each step runs in a transaction of its own on that thread, so a step that spans several stores is one function:
`await database.write(take_draft_and_queue, draft_id)`.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 30
CONNECT_S = 10


def make_engine(url: str) -> Engine:
    """An SQLAlchemy engine for `url`; SQLite gets WAL, foreign keys and transactions that lock at their beginning.

    A PostgreSQL that was restarted is connected to anew.
    """
    if not url.startswith("sqlite"):
        with_driver = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)
        return create_engine(with_driver, pool_pre_ping=True, connect_args={"connect_timeout": CONNECT_S})
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late: a read that turns into a write fails at once with
    # "database is locked", whatever the timeout. So the driver begins none, and we begin with the write lock.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_S * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class Database:
    """`url` is SQLAlchemy's, e.g. `sqlite:////data/threadtune.db`."""

    def __init__(self, url: str) -> None:
        self.fence: Callable[[Connection], None] | None = None
        """Called at the beginning of each transaction; what it raises ends that."""
        self._engine = make_engine(url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def write(self, step: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `step(connection, …)` in one transaction; an exception rolls it back and is raised here.

        A caller that is cancelled does not stop a step that has begun.
        """

        def transaction() -> T:
            with self._engine.begin() as connection:
                if self.fence:
                    self.fence(connection)
                return step(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, transaction)

    async def read(self, step: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a step that changes nothing; it sees every write that was asked for before it."""
        return await self.write(step, *args, **kwargs)

    def close(self) -> None:
        """Let the steps that were asked for end, then close."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()
