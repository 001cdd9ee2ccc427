"""kill -9 at every point of a run's life, then a restart: nothing is lost, and everything happens once."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import store
from bot.store import Schedule
from engine.database import make_engine
from engine.jobs import Status
from engine.plan.calendar import When
from tests.e2e.house import hub
from tests.faults.house import ANN, THREAD, Bot, bot
from tests.faults.invariants import broken
from tests.postgres import Postgres

pytestmark = pytest.mark.slow

BOT_KILLS = {
    "F01 before the inbox commit": "inbox.before:1",
    "F01 before the commit of the click": "inbox.before:3",
    "F02 after the inbox commit, before the acknowledgement": "inbox.stored:2",
    "F02 after the commit of the click": "inbox.stored:3",
    "F03 after the acknowledgement, before the answer": "answer.before:2",
    "F03 after the answer is stored, before it is noted": "answer.done:2",
    "F04 after the report was posted, before its id is noted": "outbox.posted.report:1",
    "F04 after the living message was posted": "outbox.posted.live:1",
    "F05 in the download": "download.half:1",
    "F06 before the check has answered": "download.done:1",
    "F07 while queued": "answer.done:3",
    "F08 between claim and start of the download": "scheduler.fetch.claimed:1",
    "F08 between claim and start of the training": "scheduler.train.claimed:1",
    "F08 between claim and start of the push": "scheduler.push.claimed:1",
    "F09 after the training was started": "scheduler.train.submitted:1",
    "F09 while the training reports, before the commit": "scheduler.train.heard:2",
    "F09 while the training reports, after the commit": "scheduler.train.advanced:2",
    "F12 after the training's end is stored": "scheduler.trained:1",
    "F13 after the push was started": "scheduler.push.submitted:1",
    "F15 before the push's end is stored": "scheduler.push.heard:1",
    "F16 after the push's end is stored, before the final message is": "scheduler.succeeded:1",
    "F16 after the final message is stored, before it is posted": "outbox.before.final:1",
    "F16 after the final message was posted, before its id is noted": "outbox.posted.final:1",
}
FEW = ["inbox.stored:3", "outbox.posted.live:1", "scheduler.train.claimed:1", "scheduler.succeeded:1"]


ON_POSTGRESQL = list(BOT_KILLS.values()) if os.environ.get("FAULTS") == "all" else FEW


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


async def play(one: Bot) -> None:
    """The usual conversation, to its end."""
    one.presses(await one.plans())
    await one.settled()
    await one.rests()


def judge(one: Bot) -> None:
    """The point was reached, the process died there, the run came out well, and nothing is broken."""
    assert one.reached.exists(), f"{one.fault} was never reached"
    assert -9 in one.exits
    history = one.history()
    assert broken(history) == []
    assert [run.status for run in history.runs] == [Status.succeeded]
    assert sum(said.key.startswith("draft/") for said in history.said) == 1


@pytest.mark.parametrize("fault", BOT_KILLS.values(), ids=BOT_KILLS.keys())
async def test_the_bot_is_killed_and_nothing_is_lost(tmp_path: Path, endpoint: tuple[str, str], fault: str) -> None:
    async with bot(tmp_path, endpoint, fault=fault) as one:
        await play(one)
    judge(one)


@pytest.mark.parametrize("fault", ON_POSTGRESQL)
async def test_the_bot_is_killed_on_postgresql(
    tmp_path: Path, endpoint: tuple[str, str], postgres_url: str, fault: str
) -> None:
    async with bot(tmp_path, endpoint, fault=fault, database_url=postgres_url) as one:
        await play(one)
    judge(one)


def follow(one: Bot) -> None:
    """Somebody has saved a schedule whose time has just come: run 1 is repeated, once until tomorrow."""
    when = When(0, (0,), "UTC")
    due = Schedule("by hand", "1", THREAD, ANN, False, when, time.time() - 1, "active")
    engine = make_engine(one.url)
    with engine.begin() as db:
        store.add_schedule(db, due)
    engine.dispose()
    one.starts += 1


@pytest.mark.parametrize("fault", ["schedule.due:1", "schedule.fired:1"])
async def test_the_bot_is_killed_as_a_schedule_is_due_and_one_run_comes_of_it(
    tmp_path: Path, endpoint: tuple[str, str], any_url: str, fault: str
) -> None:
    url = any_url if any_url.startswith("postgres") else ""
    async with bot(tmp_path, endpoint, fault=fault, database_url=url) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        follow(one)
        await one.settled()
        await one.settled("2")
        await one.rests()
    assert one.reached.exists() and -9 in one.exits
    assert broken(one.history()) == []
    assert [run.status for run in one.runs()] == [Status.succeeded] * 2


async def test_f36_everything_is_delivered_four_times(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    async with bot(tmp_path, endpoint) as one:
        one.presses(await one.plans(times=4), times=4)
        await one.settled()
        await asyncio.sleep(1)
    assert broken(one.history()) == []


async def test_f27_posts_are_refused_broken_and_lost(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    async with bot(tmp_path, endpoint) as one:
        one.platform.troubles = [429, "lost", 429, 429]
        await play(one)
        assert one.platform.troubles == []
    history = one.history()
    assert broken(history) == []


async def test_f38_f39_a_paused_leader_is_replaced_and_fenced(
    tmp_path: Path, endpoint: tuple[str, str], postgres_url: str
) -> None:
    """The leader stops in the middle of a run; the one that stands by ends it; the first wakes up and does nothing."""
    chosen = {"database_url": postgres_url, "extra": {"lease_s": 3}}
    async with bot(tmp_path, endpoint, fault="pause@scheduler.train.heard:2", **chosen) as one:
        draft = await one.plans()
        other = await one.start()
        one.presses(draft)
        await one.settled()
        paused = one.process
        assert paused and paused.returncode is None and one.reached.exists()
        paused.send_signal(18)
        async with asyncio.timeout(90):
            assert await paused.wait() == 3
        other.terminate()
        await other.wait()
    assert broken(one.history()) == []


async def test_f24_the_database_restarts_in_the_middle(
    tmp_path: Path, endpoint: tuple[str, str], postgres_url: str, postgres_server: Postgres
) -> None:
    async with bot(tmp_path, endpoint, database_url=postgres_url) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.sleep(2)
        await asyncio.to_thread(postgres_server.start)
        await one.settled()
    assert broken(one.history()) == []
