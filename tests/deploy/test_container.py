"""A container that is restarted takes everything in it along: the run resumes from the volume, and its thread says so.

No Docker engine runs here: the container is a PID namespace with a host name of its own, which ends with its first
process, on the same folder of data.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.folder import RunFolder
from engine.jobs import Status
from tests.e2e.house import hub
from tests.faults.house import Bot, bot
from tests.faults.invariants import broken

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--uts")
NAMED = ("sh", "-c", 'hostname "bot-$$-$(date +%N)"; exec "$@"', "--")
"""A new container of the same service has another host name."""
WAIT_S = 150.0


def can_part() -> bool:
    tried = shutil.which("unshare") and subprocess.run([*CONTAINER, *NAMED, "true"], capture_output=True, check=False)
    return bool(tried and tried.returncode == 0)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


async def saved(one: Bot, step: int) -> None:
    """Until there is a whole checkpoint of that step, or of a later one, and the bot has heard of it."""
    async with asyncio.timeout(WAIT_S):
        while not any(run.progress.saved_step >= step for run in one.runs()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.skipif(not can_part(), reason="PID namespaces are not allowed here, so no container can be played")
async def test_a_restarted_container_resumes_its_run_and_the_thread_says_so(
    tmp_path: Path, endpoint: tuple[str, str]
) -> None:
    async with bot(tmp_path, endpoint, children="real", inside=(*CONTAINER, *NAMED)) as one:
        one.presses(await one.plans("sft max_steps=400 save_steps=2 max_length=64 valid=off logging_steps=1"))
        await saved(one, 2)
        assert one.process
        one.process.kill()
        async with asyncio.timeout(WAIT_S):
            while not one.exits:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await saved(one, max(run.progress.saved_step for run in one.runs()) + 2)
        live = await one.says("run/1/live")
        async with asyncio.timeout(WAIT_S):
            while "Restarted from step" not in live.message["text"]:  # noqa: ASYNC110  a platform tells nobody
                await asyncio.sleep(0.05)
        assert "Restarted from step 0" not in live.message["text"] and "try 2 of 3" in live.message["text"]
        assert RunFolder(tmp_path / "data" / "runs" / "1").last_number("train") == 2
        await one.settled()
        await one.rests()
        one.is_stopping = True
        one.process.kill()  # what starts a container hears no SIGTERM here, where there is no tini in it
        async with asyncio.timeout(WAIT_S):
            while len(one.exits) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert one.exits[0] == -9 and [run.status for run in one.runs()] == [Status.succeeded]
    assert broken(one.history()) == []
