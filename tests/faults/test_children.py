"""The children die as well, the real ones: download, training and push, at every point that matters."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.chat import Command
from engine.jobs import Status
from tests.e2e.house import hub
from tests.faults.house import ANN, THREAD, bot
from tests.faults.invariants import broken

pytestmark = pytest.mark.slow

SAVING = "sft max_steps=6 save_steps=2 max_length=64 valid=off"
CHILD_KILLS = {
    "F47 in the download of the base model": ("fetch.fetching:1", ""),
    "F10 before the first checkpoint": ("train.step:1", "Restarted from step 0, try 2 of 3."),
    "F11 while a checkpoint is written": ("train.unmarked:2", "Restarted from step 2, try 2 of 3."),
    "F12 between the last step and the save": ("train.saving:1", "Restarted from step 4, try 2 of 3."),
    "F13 after the repo was made": ("push.pushing:1", "The upload was restarted, try 2 of 3."),
    "F15 after the commit, before it is told": ("push.pushing:2", "The upload was restarted, try 2 of 3."),
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.mark.parametrize(("fault", "says"), CHILD_KILLS.values(), ids=CHILD_KILLS.keys())
async def test_a_child_is_killed_and_one_model_comes_of_it(
    tmp_path: Path, endpoint: tuple[str, str], fault: str, says: str
) -> None:
    async with bot(tmp_path, endpoint, fault=fault, children="real") as one:
        one.presses(await one.plans(SAVING))
        await one.settled()
        await one.rests()
        live = await one.says("run/1/live")
    assert one.reached.exists() and one.exits == [0]
    history = one.history()
    assert broken(history) == []
    assert [run.status for run in history.runs] == [Status.succeeded]
    assert says in live.message["text"]


async def test_f42_a_deploy_lets_the_training_go_on(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    async with bot(tmp_path, endpoint) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        assert one.process
        one.process.terminate()
        async with asyncio.timeout(90):
            while not one.exits:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        again = asyncio.create_task(one.supervise())
        await one.settled()
        await one.rests()
        one.process.send_signal(signal.SIGTERM)
        await again
    assert one.exits == [0, 0]
    assert broken(one.history()) == []
    assert [run.status for run in one.runs()] == [Status.succeeded]


CANCELS = {
    "F48 cancelled, killed as the training is claimed": "scheduler.train.claimed:1",
    "F48 cancelled, killed as its reports are heard": "scheduler.train.heard:2",
    "F48 cancelled, killed as the push is claimed": "scheduler.push.claimed:1",
    "F48 cancelled, killed around the final message": "outbox.posted.final:1",
}


@pytest.mark.parametrize("fault", CANCELS.values(), ids=CANCELS.keys())
async def test_a_cancel_and_a_kill_end_in_one_outcome(tmp_path: Path, endpoint: tuple[str, str], fault: str) -> None:
    """Which one won is said: cancelled without a model, or succeeded with one."""
    async with bot(tmp_path, endpoint, fault=fault) as one:
        one.presses(await one.plans())
        await one.says("run/1/live")
        if not fault.startswith("outbox"):
            async with asyncio.timeout(60):
                while not one.reached.exists():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        one.platform.does(ANN, THREAD, Command("cancel 1"))
        await one.settled()
        await one.rests()
    history = one.history()
    assert one.reached.exists() and -9 in one.exits
    assert broken(history) == []


async def test_f37_a_cancel_before_the_start_and_a_click_twice(tmp_path: Path, endpoint: tuple[str, str]) -> None:
    async with bot(tmp_path, endpoint) as one:
        early = one.platform.does(ANN, THREAD, Command("cancel 1"))
        assert "There is no run 1" in (await one.says(f"{early}/answer")).message["text"]
        one.presses(await one.plans(), times=2)
        await one.settled()
        late = one.platform.does(ANN, THREAD, Command("cancel 1"))
        assert "already" in (await one.says(f"{late}/answer")).message["text"]
        await one.rests()
    assert broken(one.history()) == []
