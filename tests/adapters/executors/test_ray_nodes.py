"""A training over two Ray workers: the same loss as in one process, and a worker that is killed costs only time."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.executors.ray.executor import RayExecutor
from engine.events import Event, read_events
from engine.executor import Handle
from engine.folder import RunFolder
from engine.jobs import Attempt
from engine.work.identity import environments
from tests.adapters.executors.test_ray import settings
from tests.cluster import Cluster, cluster
from tests.contract.executor import ended, until
from tests.engine.work.elsewhere.test_ranks import CLOSE, TEXTS, run_for
from tests.mini import make_causal

pytestmark = pytest.mark.slow
RUN_S = 600.0


@pytest.fixture(scope="module")
def ray() -> Iterator[Cluster]:
    with cluster(cpus=1) as made:
        made.start_worker("worker", cpus=2)
        made.wait_nodes(2)
        yield made


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


def events_of(root: Path, handle: Handle) -> list[Event]:
    return read_events(root / handle.id / "events.jsonl")


def steps_of(root: Path, handle: Handle) -> dict[int, float]:
    """Each step's last word on its loss."""
    return {event.data["step"]: event.data["loss"] for event in events_of(root, handle) if event.kind == "step"}


async def start(executor: RayExecutor, run: RunFolder) -> Handle:
    attempt = Attempt(run.path.name, "train", 1, run.path)
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    return handle


def workers(name: str) -> list[int]:
    """The pids of the ranks of an attempt on this machine, whichever namespace they are in."""
    return [
        pid
        for pid, values in environments()
        if values.get("THREADTUNE_ATTEMPT") == name and "TrainWorker" in title(pid)
    ]


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


async def test_two_workers_learn_what_one_process_learns_and_survive_a_kill(
    ray: Cluster, causal: Path, tmp_path: Path
) -> None:
    root = tmp_path / "runs"
    executor = RayExecutor("ray", root, settings(ray, grace_s=60.0))
    alone = await start(executor, run_for(root / "1", causal, epochs=8))
    assert (await ended(executor, alone, RUN_S)).code == 0
    both = await start(executor, run_for(root / "2", causal, epochs=8, gpus=2))

    async def has_saved() -> bool:
        return any(event.kind == "checkpoint" for event in events_of(root, both))

    await until(has_saved, RUN_S)
    found = workers("2/train-1")
    assert found
    os.kill(found[-1], signal.SIGKILL)
    assert (await ended(executor, both, RUN_S)).code == 0
    assert steps_of(root, both) == pytest.approx(steps_of(root, alone), abs=CLOSE)
    assert [event.kind for event in events_of(root, both)].count("finished") == 1
    assert [event.kind for event in events_of(root, both)].count("started") == 2
    assert workers("2/train-1") == []
