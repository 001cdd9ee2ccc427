"""One bot a database: refused on SQLite, standing by on PostgreSQL, and fenced once another has taken over."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.migrate import downgrade, upgrade
from engine import lease, store
from engine.database import Database, make_engine
from engine.jobs import JobSpec, Model, Source
from engine.lease import Lost, PostgresLease, SqliteLease
from engine.refusal import Refusal
from tests.postgres import Postgres

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}))
HOLDER = """
import asyncio, sys
from engine.lease import SqliteLease
async def hold():
    async with SqliteLease(sys.argv[1]).held(lambda: None):
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(hold())
"""


async def test_a_second_process_is_refused_with_the_name_of_the_first_and_a_killed_one_leaves_nothing(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    first = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220
    assert first.stdout and first.stdout.readline() == "held\n"
    with pytest.raises(Refusal, match=f"The bot with process {first.pid} on .* uses .*bot.db already"):
        async with SqliteLease(url).held(lambda: None):
            pass
    first.kill()
    first.wait(10)
    first.stdout.close()
    async with SqliteLease(url).held(lambda: None):
        pass


def quick(url: str) -> PostgresLease:
    return PostgresLease(url, lease_s=3.0, renew_s=0.2, poll_s=0.1)


pg = pytest.mark.slow


@pg
async def test_the_second_bot_stands_by_until_the_first_lets_go(postgres_url: str) -> None:
    first, second = quick(postgres_url), quick(postgres_url)
    async with first.held(lambda: upgrade(postgres_url)):
        waiting = asyncio.create_task(second.held(lambda: upgrade(postgres_url)).__aenter__())
        keeping = asyncio.create_task(first.keep())
        await asyncio.sleep(4)
        assert not waiting.done() and not keeping.done()
        keeping.cancel()
    async with asyncio.timeout(60):
        await waiting
    assert (first.token, second.token) == (1, 2)
    second._let_go()


@pg
async def test_a_bot_that_was_paused_finds_itself_fenced(postgres_url: str) -> None:
    """The first renews no more, as a paused process does not; its session stays open."""
    first, second = quick(postgres_url), quick(postgres_url)
    database = Database(postgres_url)
    database.fence = first.fence
    async with first.held(lambda: upgrade(postgres_url)):
        await database.write(store.queue_run, SPEC, 1.0)
        async with asyncio.timeout(60), second.held(lambda: upgrade(postgres_url)):
            with pytest.raises(Lost):
                await database.write(store.queue_run, SPEC, 2.0)
            with pytest.raises(Lost):
                await first.keep()
            database.fence = second.fence
            assert len(await database.read(store.open_runs)) == 1
    database.close()


@pg
async def test_a_database_that_restarts_is_found_again_and_the_owner_stays(
    postgres_url: str, postgres_server: Postgres
) -> None:
    owner = quick(postgres_url)
    database = Database(postgres_url)
    database.fence = owner.fence
    async with owner.held(lambda: upgrade(postgres_url)):
        keeping = asyncio.create_task(owner.keep())
        await database.write(store.queue_run, SPEC, 1.0)
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(postgres_server.start)
        await asyncio.sleep(1.0)
        assert not keeping.done()
        await database.write(store.queue_run, SPEC, 2.0)
        keeping.cancel()
    database.close()


@pg
def test_the_migrations_go_down_and_up_again_on_postgresql_too(postgres_url: str) -> None:
    upgrade(postgres_url)
    engine = make_engine(postgres_url)
    with engine.begin() as db:
        store.queue_run(db, SPEC, 1.0)
    downgrade(postgres_url, "base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    upgrade(postgres_url)
    with engine.begin() as db:
        assert store.open_runs(db) == []
        assert lease.take(db, "a test", 60.0) == 1
    engine.dispose()
