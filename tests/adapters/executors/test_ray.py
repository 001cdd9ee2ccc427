"""The executor port on a real Ray, and what only Ray does."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.executors.ray.executor import RayExecutor
from adapters.executors.ray.jobs import Unreachable
from adapters.executors.ray.settings import RaySettings
from engine.executor import Handle
from engine.refusal import Refusal
from engine.work.identity import processes_of
from tests.cluster import PYTHON, TOKEN, Cluster, cluster
from tests.contract.executor import ExecutorContract, Stage, ended, reported, until

CHILDREN = Path(__file__).parents[2] / "fakes" / "children.py"
pytestmark = pytest.mark.slow
LAPSE_S = 6.0
RUN_S = 300.0


def settings(ray: Cluster, **others: object) -> RaySettings:
    known: dict[str, object] = {
        **{"jobs_url": ray.url, "auth_token": SecretStr(TOKEN), "python": str(PYTHON)},
        **{"node_gpus": 0, "cpus": 1, "grace_s": 5.0},
        **others,
    }
    return RaySettings(_env_file=None, **known)  # type: ignore[arg-type]  # the fields are its own


def new(ray: Cluster, root: Path, pending_s: float = 900.0, **others: object) -> RayExecutor:
    chosen = settings(ray, **others)
    return RayExecutor("ray", root, chosen, program=[str(CHILDREN)], pending_s=pending_s, lapse_s=LAPSE_S)


@pytest.fixture(scope="module")
def ray() -> Iterator[Cluster]:
    with cluster(cpus=2) as made:
        yield made


class TestRay(ExecutorContract):
    @pytest.fixture
    def stage(self, tmp_path: Path, ray: Cluster) -> Stage:
        return Stage(tmp_path / "runs", lambda: new(ray, tmp_path / "runs"))


class TestRayByCarrying(ExecutorContract):
    """The nodes reach no folder of ours: everything goes through a location, here one on this disk."""

    @pytest.fixture
    def stage(self, tmp_path: Path, ray: Cluster) -> Stage:
        where = f"file://{tmp_path / 'bucket'}"
        return Stage(tmp_path / "runs", lambda: new(ray, tmp_path / "runs", runs=where))


async def is_deserted(folder: Path, patience_s: float) -> None:
    async def nobody_is_left() -> bool:
        return processes_of(folder) == []

    await until(nobody_is_left, patience_s)


async def started(stage: Stage, play: str = "works", run: str = "1") -> tuple[RayExecutor, Handle]:
    executor = stage.new()
    assert isinstance(executor, RayExecutor)
    attempt = stage.attempt(play, run=run)
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    await reported(executor, handle)
    return executor, handle


@pytest.fixture
def stage(tmp_path: Path, ray: Cluster) -> Stage:
    return Stage(tmp_path / "runs", lambda: new(ray, tmp_path / "runs"))


async def test_a_job_that_was_cancelled_while_it_waited_never_starts(stage: Stage) -> None:
    at_work = [await started(stage, run=run) for run in ("1", "2")]
    executor, attempt = stage.new(), stage.attempt("reports", run="3")
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    assert (await executor.observe(handle)).name == "pending"
    await executor.cancel(handle, save=False)
    assert (await ended(executor, handle)).code == -15
    for other, working in at_work:
        await other.cancel(working, save=True)
        await ended(other, working)
    # Ray starts what waited, now that there is room: it finds the wish to end.
    assert isinstance(executor, RayExecutor)
    await is_over(executor, handle)
    assert await executor.events(handle, 0) == []


async def is_over(executor: RayExecutor, handle: Handle) -> None:
    async def ray_says_so() -> bool:
        job = await executor.jobs.job(executor._job(handle))
        return job is not None and job["status"] in ("SUCCEEDED", "FAILED", "STOPPED")

    await until(ray_says_so, RUN_S)


async def test_a_job_that_finds_no_room_is_given_up_with_what_it_asked_for(stage: Stage, ray: Cluster) -> None:
    executor, attempt = new(ray, stage.root, pending_s=0.5, cpus=64), stage.attempt("reports")
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    with pytest.raises(Refusal, match="64 CPUs"):
        await ended(executor, handle)
    assert (attempt.folder / "stop").exists()


async def test_a_cluster_that_does_not_answer_is_unknown_and_not_failed(stage: Stage, ray: Cluster) -> None:
    executor, handle = await started(stage)
    away = new(ray, stage.root, jobs_url="http://127.0.0.1:9")
    assert (await away.observe(handle)).name == "running"  # the heartbeat says it, whoever does not answer
    attempt = stage.attempt("reports", run="2")
    with pytest.raises(Unreachable):
        await away.submit(attempt, away.handle_for(attempt))
    await executor.cancel(handle, save=False)
    await ended(executor, handle)


async def test_a_wrong_token_is_said_so(stage: Stage, ray: Cluster) -> None:
    executor, attempt = new(ray, stage.root, auth_token=SecretStr("wrong" * 8)), stage.attempt("reports")
    with pytest.raises(Unreachable, match="RAY_AUTH_TOKEN"):
        await executor.submit(attempt, executor.handle_for(attempt))


def who(executor: RayExecutor, handle: Handle, victim: str) -> int:
    """The pid of a part of an attempt, as this machine sees it, whichever namespace it is in."""
    folder = executor.root / handle.id
    found = {pid: lines(pid) for pid in processes_of(folder)}
    runner = next(pid for pid, line in found.items() if "engine.work.runner" in line)
    if victim == "runner":
        return runner
    if victim == "trainer":
        return next(pid for pid, line in found.items() if "children.py" in line and "runner" not in line)
    # A supervisor's title is all that there is of its environment, and another test's may not be gone yet.
    above = parent(runner)
    while "JobSupervisor" not in lines(above):
        above = parent(above)
    return above


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def lines(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize("victim", ["trainer", "runner", "supervisor"])
async def test_whoever_is_killed_the_attempt_ends_and_nothing_of_it_is_left(stage: Stage, victim: str) -> None:
    # Left alone, each would stay for a minute: longer than it is waited for.
    executor, handle = await started(stage, "has_a_grandchild" if victim == "trainer" else "ignores_the_wish")
    os.kill(who(executor, handle, victim), signal.SIGKILL)
    await is_deserted(executor.root / handle.id, 40.0)
    phase = await ended(executor, handle, RUN_S)
    assert phase.code == -9 if victim == "trainer" else phase.name in ("lost", "exited")
    assert await executor.list() == []


async def test_nothing_secret_is_told_to_the_cluster(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    executor, handle = await started(stage, "looks_around")
    await ended(executor, handle)
    job = await executor.jobs.job(executor._job(handle))
    assert "hf_secret" not in json.dumps(job) and TOKEN not in json.dumps(job)
