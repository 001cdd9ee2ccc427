"""Ticks at once, bots that die, executors that break: the database is real, the executors are the fake."""

import asyncio

import pytest
import structlog

from engine import store
from engine.events import Event
from engine.executor import Handle, Phase
from engine.jobs import Attempt, Status
from engine.refusal import Refusal
from tests.engine.work.house import House
from tests.fakes.executor import FakeExecutor


async def test_two_ticks_at_once_start_one_child(house: House) -> None:
    await house.queue()
    await asyncio.gather(*(house.scheduler.tick(101.0) for _ in range(5)))
    assert house.ours.submits == ["1/fetch-1"]


class SlowExecutor(FakeExecutor):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.may_go_on = asyncio.Event()

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        await self.may_go_on.wait()
        await super().submit(attempt, handle)


async def test_a_tick_during_another_returns_at_once(house: House) -> None:
    await house.queue()
    house.ours = slow = SlowExecutor("ours")
    house.scheduler = house._scheduler()
    first = asyncio.create_task(house.scheduler.tick(101.0))
    while not await house.database.read(store.open_attempts):  # noqa: ASYNC110  # a tick tells nobody how far it is
        await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await house.scheduler.tick(102.0)
    assert not first.done()
    slow.may_go_on.set()
    await first
    assert slow.submits == ["1/fetch-1"]


async def test_two_schedulers_on_one_database_start_each_child_once(house: House) -> None:
    await house.queue()
    other = house._scheduler()
    await asyncio.gather(house.scheduler.tick(101.0), other.tick(101.0))
    attempts = await house.database.read(store.attempts, "1")
    assert [tried.name for tried in attempts] == ["fetch-1"]
    assert list(house.ours.children) == [attempts[0].handle]
    assert [path.name for path in (house.folder / "runs").iterdir()] == ["1"]


async def test_after_a_restart_the_run_goes_on_where_it_was(house: House) -> None:
    await house.until_training()
    house.child("train-1").say("step", step=1, steps=60, loss=2.0)
    await house.tick()
    house.restart()
    house.child("train-1").say("step", step=2, steps=60, loss=1.0)
    run = await house.tick()
    assert (run.progress.step, run.progress.losses) == (2, (2.0, 1.0))
    assert (await house.finish("train-1")).status is Status.pushing
    seqs = [event.seq for event in await house.database.read(store.events, "1", "train-1")]
    assert seqs == [1, 2, 3]


class Crash(BaseException):
    """The end of the process, as a test plays it."""


class CrashingExecutor(FakeExecutor):
    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        raise Crash


async def test_a_bot_that_dies_between_storing_the_handle_and_submitting_starts_the_child_later(house: House) -> None:
    await house.queue()
    house.ours = CrashingExecutor("ours", 4)
    house.scheduler = house._scheduler()
    with pytest.raises(Crash):
        await house.tick()
    assert [tried.name for tried in await house.database.read(store.open_attempts)] == ["fetch-1"]
    house.restart()
    await house.tick()
    assert house.ours.submits == ["1/fetch-1"]
    assert (await house.finish("fetch-1")).attempt == "train-1"


class RefusingExecutor(FakeExecutor):
    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        raise Refusal("/no/python cannot be started.")


async def test_a_child_that_cannot_be_started_fails_the_run_and_frees_its_place(house: House) -> None:
    await house.queue()
    house.ours = RefusingExecutor("ours")
    house.scheduler = house._scheduler()
    run = await house.tick()
    assert (run.status, run.reason) == (Status.failed, "/no/python cannot be started.")
    assert await house.database.read(store.open_attempts) == []


async def test_a_child_that_hangs_fails_its_run_and_is_stopped(house: House) -> None:
    await house.until_training()
    house.child("train-1").say("phase", phase="training")
    await house.tick()
    house.now += 590
    assert (await house.tick()).status is Status.running
    house.now += 20
    run = await house.tick()
    assert (run.status, run.reason) == (
        Status.failed,
        "The training took no step for 10 minutes, so it was stopped.",
    )
    house.now += 61
    await house.tick()
    assert house.child("train-1").wishes == ["drop"]


async def test_a_child_that_nobody_can_see_is_not_taken_for_one_that_hangs(house: House) -> None:
    await house.until_training()
    house.child("train-1").phase = Phase("unknown")
    for _ in range(5):
        house.now += 1000
        assert (await house.tick()).status is Status.running


class MoodyExecutor(FakeExecutor):
    """Breaks on one run, as a network does."""

    broken = True

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        if self.broken and handle.id.startswith("1/"):
            raise ConnectionError("no route")
        return await super().events(handle, after_seq)


async def test_a_run_that_cannot_be_attended_does_not_stop_the_others(house: House) -> None:
    house.slots = 2
    house.trainer = FakeExecutor("trainer", 2)
    house.ours = moody = MoodyExecutor("ours", 4)
    house.scheduler = house._scheduler()
    await house.queue()
    await house.queue()
    await house.tick()
    with structlog.testing.capture_logs() as logs:
        await house.finish("fetch-1", "2")
    assert (await house.run("2")).attempt == "train-1"
    assert {entry["run"] for entry in logs if entry["log_level"] == "error"} == {"1"}
    moody.broken = False
    await house.finish("fetch-1", "1")
    assert (await house.run("1")).attempt == "train-1"


async def test_the_clock_ticks_and_calls_what_others_asked_for(house: House) -> None:
    called = asyncio.Event()

    async def own_tick() -> None:
        called.set()
        raise ValueError("a tick that breaks is called again")

    house.scheduler.every(0.01, own_tick)
    await house.queue()
    await house.scheduler.start()
    async with asyncio.timeout(60):
        for _ in range(2):
            await called.wait()
            called.clear()
        while not house.scheduler.ticked_at:  # noqa: ASYNC110  # the scheduler tells nobody what it does
            await asyncio.sleep(0.01)
    await house.scheduler.stop()
    assert house.ours.submits == ["1/fetch-1"]
