"""One writer thread, whole transactions."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, text

from engine.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    yield database
    database.close()


def make_table(db: Connection) -> None:
    db.execute(text("CREATE TABLE numbers (number INTEGER)"))
    db.execute(text("INSERT INTO numbers VALUES (0)"))


def number(db: Connection) -> int:
    return int(db.execute(text("SELECT number FROM numbers")).scalar_one())


def add(db: Connection, more: int, breaks: bool = False) -> int:
    new = number(db) + more
    db.execute(text("UPDATE numbers SET number = :new"), {"new": new})
    if breaks:
        raise ValueError("broken")
    return new


async def test_a_step_returns_its_value(database: Database) -> None:
    await database.write(make_table)
    assert await database.write(add, 2) == 2
    assert await database.write(add, more=3) == 5
    assert await database.read(number) == 5


async def test_a_step_that_raises_leaves_nothing(database: Database) -> None:
    await database.write(make_table)
    with pytest.raises(ValueError, match="broken"):
        await database.write(add, 2, breaks=True)
    assert await database.read(number) == 0


async def test_steps_that_read_and_write_lose_no_update(database: Database) -> None:
    await database.write(make_table)
    await asyncio.gather(*(database.write(add, 1) for _ in range(50)))
    assert await database.read(number) == 50


async def test_every_step_runs_on_the_same_thread_and_not_on_ours(database: Database) -> None:
    names = {await database.read(lambda _: threading.current_thread().name) for _ in range(5)}
    assert len(names) == 1
    assert threading.current_thread().name not in names


async def test_a_transaction_takes_the_write_lock_at_its_beginning(database: Database, tmp_path: Path) -> None:
    await database.write(make_table)
    other = sqlite3.connect(tmp_path / "test.db", timeout=0, isolation_level=None, check_same_thread=False)

    def while_another_wants_to_write(db: Connection) -> None:
        number(db)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT number FROM numbers").fetchone() == (0,)

    await database.write(while_another_wants_to_write)
    other.close()


async def test_sqlite_is_set_up_to_be_safe(database: Database) -> None:
    def pragmas(db: Connection) -> list[object]:
        return [db.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys", "synchronous")]

    assert await database.read(pragmas) == ["wal", 1, 2]


async def test_steps_that_wait_together_are_each_done_whole_or_not_at_all(any_url: str) -> None:
    """One of many fails: nothing of it stays, and everything of the others."""
    database = Database(any_url)
    await database.write(lambda db: db.execute(sa.text("CREATE TABLE rows_ (n INTEGER PRIMARY KEY)")))
    fences: list[int] = []
    database.fence = lambda _: fences.append(1)

    def add(db: sa.Connection, number: int) -> int:
        db.execute(sa.text("INSERT INTO rows_ VALUES (:n)"), {"n": number})
        if number % 7 == 3:
            raise ValueError(number)
        return number

    outcomes = await asyncio.gather(*(database.write(add, number) for number in range(100)), return_exceptions=True)
    kept = await database.read(lambda db: db.execute(sa.text("SELECT n FROM rows_ ORDER BY n")).scalars().all())
    assert list(kept) == [number for number in range(100) if number % 7 != 3] == [n for n in outcomes if n in kept]
    assert sum(isinstance(outcome, ValueError) for outcome in outcomes) == 14
    assert len(fences) < 101
    database.close()


async def test_a_step_that_breaks_a_rule_of_the_table_harms_no_other(any_url: str) -> None:
    database = Database(any_url)
    await database.write(lambda db: db.execute(sa.text("CREATE TABLE rows_ (n INTEGER PRIMARY KEY)")))

    def add(db: sa.Connection) -> None:
        db.execute(sa.text("INSERT INTO rows_ VALUES (1)"))

    outcomes = await asyncio.gather(*(database.write(add) for _ in range(20)), return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, sa.exc.IntegrityError) for outcome in outcomes) == 19
    database.close()
