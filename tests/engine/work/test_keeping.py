"""What is kept, what goes, and what nobody owns."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.migrate import upgrade
from engine import store
from engine.database import Database
from engine.executor import Handle
from engine.jobs import Attempt, JobSpec, Model, Run, Source, Status
from engine.work import keeping
from tests.fakes.executor import FakeExecutor

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}), requester="U1")
ENDED = Run("", SPEC, status=Status.failed, ended_at=100.0)


@pytest.fixture
async def database(any_url: str) -> AsyncIterator[Database]:
    upgrade(any_url)
    database = Database(any_url)
    yield database
    database.close()


async def test_what_runs_without_an_open_attempt_is_ended_and_nothing_else(database: Database, tmp_path: Path) -> None:
    executor = FakeExecutor("fake", slots=3)
    handles = []
    for _ in range(3):
        run = await database.write(store.queue_run, SPEC, 1.0)
        attempt = Attempt(run.id, "train", 1, tmp_path / run.id)
        handles.append(executor.handle_for(attempt))
        if run.id != "3":
            await database.write(store.add_attempt, attempt, handles[-1], 1.0)
        await executor.submit(attempt, handles[-1])
    (second,) = await database.read(store.attempts, "2")
    await database.write(store.end_attempt, second, 2.0)
    assert await keeping.sweep(database, [executor]) == handles[1:]
    assert [child.wishes for child in executor.children.values()] == [[], ["drop"], ["drop"]]
    assert await keeping.sweep(database, []) == []


async def test_what_another_executor_runs_on_this_machine_is_no_orphan(database: Database, tmp_path: Path) -> None:
    """Both see the same processes, each under its own name."""
    cluster, local = FakeExecutor("cluster", slots=1), FakeExecutor("local", slots=1)
    run = await database.write(store.queue_run, SPEC, 1.0)
    attempt = Attempt(run.id, "train", 1, tmp_path / run.id)
    await database.write(store.add_attempt, attempt, cluster.handle_for(attempt), 1.0)
    for executor in (cluster, local):
        await executor.submit(attempt, executor.handle_for(attempt))
    assert await keeping.sweep(database, [cluster, local]) == []


async def test_an_executor_that_cannot_be_asked_keeps_no_other_from_being_swept(database: Database) -> None:
    class Unreachable(FakeExecutor):
        async def list(self) -> list[Handle]:
            raise ConnectionError("no route")

    assert await keeping.sweep(database, [Unreachable("gone", slots=1), FakeExecutor("fake", slots=1)]) == []


async def test_checkpoints_of_runs_that_ended_long_ago_go_unless_an_open_run_goes_on_with_them(
    database: Database, tmp_path: Path
) -> None:
    for run in (ENDED, replace(ENDED, ended_at=900.0), ENDED, Run("", SPEC, of="3")):
        added = await database.write(store.add_run, run)
        (tmp_path / added.id / "checkpoints/checkpoint-5").mkdir(parents=True)
        (tmp_path / added.id / "attempts/train-1/output").mkdir(parents=True)
    old = await database.read(keeping.over_before, 500.0)
    assert [run.id for run in old] == ["1"]
    assert keeping.prune(tmp_path, old) == 1
    assert keeping.prune(tmp_path, old) == 0
    assert sorted(path.parent.name for path in tmp_path.glob("*/checkpoints")) == ["2", "3", "4"]
    assert len(list(tmp_path.glob("*/attempts/train-1/output"))) == 4


def test_folders_that_were_set_aside_go_and_runs_stay(tmp_path: Path) -> None:
    for name in ("7", "7.old-1", ".8-2"):
        (tmp_path / name).mkdir()
    keeping.clear(tmp_path, 3600.0)
    assert len(list(tmp_path.iterdir())) == 3
    keeping.clear(tmp_path, -1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["7"]


def test_a_disk_that_is_nearly_full_is_said(tmp_path: Path) -> None:
    assert keeping.shortage(tmp_path, 0.0) == ""
    assert "new runs wait for 1e+09 GB (MIN_FREE_GB)" in keeping.shortage(tmp_path, 1e9)
