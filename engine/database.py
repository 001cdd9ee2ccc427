"""One database, one writer thread: synchronous SQLAlchemy Core behind `await`.

Each step is done as a whole or not at all, so a step that spans several stores is one function:
`await database.write(take_draft_and_queue, draft_id)`. Steps that wait together are committed together.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_S = 30
CONNECT_S = 10
MOST_AT_ONCE = 64
"""Steps in one transaction."""


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


def _outcome(
    connection: Connection, step: Callable[[Connection], Any], is_alone: bool
) -> tuple[Any, BaseException | None]:
    """What a step returned, or raised: then what it changed is undone, and nothing of the others."""
    if is_alone:
        return step(connection), None
    try:
        with connection.begin_nested():
            return step(connection), None
    except BaseException as error:
        return None, error


class Database:
    """`url` is SQLAlchemy's, e.g. `sqlite:////data/threadtune.db`."""

    def __init__(self, url: str) -> None:
        self.fence: Callable[[Connection], None] | None = None
        """Called at the beginning of each transaction; what it raises ends that."""
        self._engine = make_engine(url)
        self._waiting: deque[tuple[Callable[[Connection], Any], Future[Any]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")

    async def write(self, step: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `step(connection, …)`, committed when this returns; an exception undoes it and is raised here.

        A caller that is cancelled does not stop a step that has begun.
        """

        done: Future[T] = Future()
        self._waiting.append((lambda connection: step(connection, *args, **kwargs), done))
        self._thread.submit(self._work)
        return await asyncio.wrap_future(done)

    def _work(self) -> None:
        """One transaction over the steps that wait: a commit costs a disk's time, however much is in it."""
        group = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
        begun = [(step, done) for step, done in group if done.set_running_or_notify_cancel()]
        if not begun:
            return  # an earlier turn took them along
        try:
            with self._engine.begin() as connection:
                if self.fence:
                    self.fence(connection)
                outcomes = [_outcome(connection, step, is_alone=len(begun) == 1) for step, _ in begun]
        except BaseException as error:
            for _, done in begun:
                done.set_exception(error)
            return
        for (_, done), (value, wrong) in zip(begun, outcomes, strict=True):
            done.set_exception(wrong) if wrong else done.set_result(value)

    async def read(self, step: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a step that changes nothing; it sees every write that was asked for before it."""
        return await self.write(step, *args, **kwargs)

    def close(self) -> None:
        """Let the steps that were asked for end, then close."""
        self._thread.shutdown(wait=True)
        self._engine.dispose()
