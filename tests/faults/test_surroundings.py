"""What is around the bot breaks: the platform, the database's file, the clock, the machine's room."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

import engine.store
from bot import store
from bot.chat import Command, Incoming
from bot.migrate import upgrade
from engine.database import Database, make_engine
from engine.jobs import JobSpec, Model, Source, Status
from engine.lease import SqliteLease
from engine.refusal import Refusal
from tests.e2e.house import hub
from tests.faults.house import ANN, THREAD, Bot, bot
from tests.faults.invariants import broken

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}), requester="U1")


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Empty for the bot's own SQLite."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not is_so():  # noqa: ASYNC110  # what is around the bot tells nobody
            await asyncio.sleep(0.05)


def ended(one: Bot) -> Callable[[], bool]:
    return lambda: bool(runs := one.runs()) and all(run.status.is_over for run in runs)


@pytest.mark.slow
async def test_f26_the_platform_is_cut_off_while_a_run_trains(
    tmp_path: Path, endpoint: tuple[str, str], url: str
) -> None:
    """Once it is back, the living message catches up in an edit, and the final one comes once."""
    async with bot(tmp_path, endpoint, database_url=url) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        one.platform.is_cut = True
        edits = one.platform.edits
        await until(ended(one))
        await until(lambda: one.platform.refused > 3)
        assert one.platform.edits == edits
        one.platform.is_cut = False
        await one.settled()
        await one.rests()
    assert one.exits == [0]
    assert broken(one.history()) == []
    assert one.platform.edits <= edits + 3


@pytest.mark.slow
async def test_f45_a_thread_is_deleted_while_its_run_trains(
    tmp_path: Path, endpoint: tuple[str, str], url: str
) -> None:
    """The run ends as it would have, and the platform is not asked again and again."""
    async with bot(tmp_path, endpoint, database_url=url) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        one.platform.gone = {THREAD.id}
        await until(ended(one))
        await one.rests()
        refused = one.platform.refused
        await one.rests()
    assert 1 <= refused == one.platform.refused <= 4
    assert [run.status for run in one.runs()] == [Status.succeeded]
    assert one.history().processes == []


@pytest.mark.slow
async def test_f23_the_database_is_locked_for_longer_than_anybody_waits(
    tmp_path: Path, endpoint: tuple[str, str]
) -> None:
    """Somebody else holds its write lock for 35 s; a step waits for 30 s. The ticks go on afterwards."""
    async with bot(tmp_path, endpoint) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        locker = sqlite3.connect(tmp_path / "data" / "threadtune.db", isolation_level=None, timeout=30)
        locker.execute("BEGIN EXCLUSIVE")
        await asyncio.sleep(35)
        locker.execute("COMMIT")
        locker.close()
        await one.settled()
        await one.rests()
    assert one.exits == [0]
    assert broken(one.history()) == []
    assert [run.status for run in one.runs()] == [Status.succeeded]


def file_of(folder: Path) -> tuple[Path, str]:
    return folder / "bot.db", f"sqlite:///{folder / 'bot.db'}"


async def held(url: str) -> None:
    async with SqliteLease(url).held(lambda: upgrade(url)):
        pass


async def test_f25_a_damaged_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file, url = file_of(tmp_path)
    await held(url)
    with make_engine(url).begin() as db:
        for number in range(400):
            store.receive(db, Incoming(f"k{number}", THREAD, ANN, Command("x" * 200)), 1.0)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = bytearray(file.read_bytes())
    content[-20_000:-8_000] = b"\xff" * 12_000
    file.write_bytes(content)
    with pytest.raises(Refusal, match=r"bot\.db cannot be used: .*put your last backup in its place"):
        await held(url)
    assert file.read_bytes()[-20_000:-8_000] == b"\xff" * 12_000


async def test_f25_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file, url = file_of(tmp_path)
    file.write_bytes(b"not a database at all, " * 400)
    with pytest.raises(Refusal, match=r"bot\.db cannot be used: file is not a database"):
        await held(url)


async def test_f22_a_full_disk_keeps_what_was_stored_and_more_is_stored_once_there_is_room(tmp_path: Path) -> None:
    """SQLite says that the disk is full where its file may not grow: the same error at the same place."""
    _, url = file_of(tmp_path)
    upgrade(url)
    database = Database(url)

    def limit(db: sa.Connection, more: int) -> None:
        pages = db.execute(sa.text("PRAGMA page_count")).scalar_one()
        db.execute(sa.text(f"PRAGMA max_page_count = {pages + more}"))

    await database.write(store.receive, Incoming("k0", THREAD, ANN, Command("help")), 1.0)
    await database.read(limit, 1)
    with pytest.raises(sa.exc.OperationalError, match="full"):
        for number in range(1, 200):
            await database.write(store.receive, Incoming(f"k{number}", THREAD, ANN, Command("x" * 2000)), 1.0)
    kept = await database.read(store.unanswered)
    assert [incoming.key for incoming in kept] == [f"k{number}" for number in range(len(kept))]
    await database.read(limit, 10_000)
    assert await database.write(store.receive, Incoming("later", THREAD, ANN, Command("x" * 2000)), 2.0)
    database.close()


async def test_f50_whatever_the_power_leaves_of_the_file_holds_all_that_was_acknowledged(tmp_path: Path) -> None:
    """The file and its log are copied after each commit, as they lie on the disk: each copy opens and has it all."""
    file, url = file_of(tmp_path)
    upgrade(url)
    database = Database(url)
    for number in range(20):
        await database.write(store.receive, Incoming(f"k{number}", THREAD, ANN, Command("help")), 1.0)
        run = await database.write(engine.store.queue_run, replace(SPEC, requester=f"U{number}"), 1.0)
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        for name in (file.name, f"{file.name}-wal"):
            shutil.copy(file.with_name(name), copy / name)
        found = make_engine(file_of(copy)[1])
        with found.begin() as db:
            assert db.execute(sa.text("PRAGMA integrity_check")).scalar() == "ok"
            assert {known.key for known in store.unanswered(db)} == {f"k{known}" for known in range(number + 1)}
            assert [known.id for known in engine.store.open_runs(db)] == [str(n + 1) for n in range(int(run.id))]
        found.dispose()
    database.close()


CROWDED = """
import asyncio, resource, sys
from pathlib import Path
from adapters.executors.local import LocalExecutor, Taken
from engine.jobs import Attempt
async def main():
    root = Path(sys.argv[1])
    local = LocalExecutor("local", root, sys.executable, {}, program=["-c", "print(1)"])
    attempt = Attempt("1", "fetch", 1, root / "1")
    handle = local.handle_for(attempt)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        pass
    try:
        await local.submit(attempt, handle)
    except (Taken, OSError) as full:
        print(type(full).__name__, flush=True)
    print((await local.observe(handle)).name, flush=True)
    for file in held:
        file.close()
    await local.submit(attempt, handle)
    while (phase := await local.observe(handle)).name != "exited":
        await asyncio.sleep(0.05)
    print(phase.code)
asyncio.run(main())
"""


def test_f49_without_files_to_open_an_attempt_waits_and_starts_later(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CROWDED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    said = ran.stdout.split()
    assert said[0] in ("Taken", "OSError") and said[-1] == "0", ran.stderr
