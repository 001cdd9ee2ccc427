"""Whole runs by the real scheduler on the real local executor, and a bot that is killed in the middle."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.executors.local import LocalExecutor
from engine import store
from engine.database import Database
from engine.events import read_events
from engine.executor import Slot
from engine.folder import RunFolder
from engine.jobs import JobSpec, Model, Run, Source, Status, Target
from engine.work.identity import processes_of
from engine.work.scheduler import Scheduler

ROOT = Path(__file__).parents[3]
CHILDREN = ROOT / "tests" / "fakes" / "children.py"
PATIENCE_S = 90.0

BOT = """
import asyncio, sys
from pathlib import Path
from tests.adapters.executors.test_local_runs import House

async def serve():
    await House(Path(sys.argv[1])).scheduler.start()
    await asyncio.sleep(60)

asyncio.run(serve())
"""


class House:
    """The scheduler and its executors over a folder that outlives them; the spec's method names the training's play."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "runs"
        self.database = Database(f"sqlite:///{folder / 'test.db'}")
        trainer, ours = (
            LocalExecutor(name, self.runs, sys.executable, {}, [Slot("cpu", 0, 8.0)], 5.0, [str(CHILDREN)])
            for name in ("local", "ours")
        )
        self.scheduler = Scheduler(self.database, trainer, ours, self.runs, play_by_method, interval_s=0.05)

    async def queue(self, play: str) -> str:
        spec = JobSpec(play, Model("some/model"), Source("rows.csv", "a" * 64, {}), target=Target("team/name"))
        return (await self.database.write(store.queue_run, spec, 1.0)).id

    async def run(self, run_id: str) -> Run:
        run = await self.database.read(store.run, run_id)
        assert run is not None
        return run

    async def until(self, run_id: str, question: Callable[[Run], bool]) -> Run:
        """Tick until the run answers yes."""
        async with asyncio.timeout(PATIENCE_S):
            while not question(await self.run(run_id)):
                await self.scheduler.tick(time.time())
                await asyncio.sleep(0.02)
        return await self.run(run_id)


def play_by_method(run: Run, folder: RunFolder) -> None:
    (folder.path / "play").write_text("by_method")


def is_over(run: Run) -> bool:
    return run.status.is_over


def has_stepped(run: Run) -> bool:
    return run.attempt == "train-1" and run.progress.step > 0


def start_bot(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", BOT, str(folder)], cwd=ROOT, start_new_session=True)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for runner in tmp_path.glob("runs/*/attempts/*/runner.json"):
        for pid in processes_of(runner.parent):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def house(folder: Path) -> House:
    house = House(folder)
    await house.database.write(store.metadata.create_all)
    return house


async def test_a_run_fetches_trains_and_pushes_in_three_processes(house: House) -> None:
    run = await house.until(await house.queue("reports"), is_over)
    assert (run.status, run.progress.losses) == (Status.succeeded, (1.0, 0.5, 1.0 / 3))
    attempts = [tried.name for tried in await house.database.read(store.attempts, run.id)]
    assert attempts == ["fetch-1", "train-1", "push-1"]
    house.database.close()


async def test_a_training_that_is_killed_by_the_system_says_what_to_try(house: House) -> None:
    run = await house.until(await house.queue("is_killed"), is_over)
    assert run.status is Status.failed
    assert "most often out of memory: try a smaller batch_size" in run.reason
    house.database.close()


async def test_cancel_and_save_reaches_the_child_and_frees_the_slot(house: House) -> None:
    first, second = await house.queue("works"), await house.queue("reports")
    await house.until(first, has_stepped)
    await house.database.write(store.ask_cancel, first, True)
    run = await house.until(first, is_over)
    assert run.status is Status.cancelled
    assert run.reason.startswith("Cancelled at step ")
    assert (await house.until(second, is_over)).status is Status.succeeded
    house.database.close()


async def test_a_bot_that_is_killed_finds_its_training_again(house: House, folder: Path) -> None:
    run_id = await house.queue("works")
    bot = start_bot(folder)
    async with asyncio.timeout(PATIENCE_S):
        while not has_stepped(await house.run(run_id)):  # noqa: ASYNC110  # another process does it
            await asyncio.sleep(0.02)
    os.killpg(bot.pid, signal.SIGKILL)
    bot.wait()
    before = await house.run(run_id)
    after = await house.until(run_id, lambda run: run.progress.step > before.progress.step)
    assert (after.status, after.attempt) == (Status.running, "train-1")
    await house.database.write(store.ask_cancel, run_id, True)
    assert (await house.until(run_id, is_over)).status is Status.cancelled
    events = read_events(house.runs / run_id / "attempts" / "train-1" / "events.jsonl")
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events].count("started") == 1
    assert await house.database.read(store.events, run_id, "train-1") == events
    house.database.close()
