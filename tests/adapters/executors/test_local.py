"""Attempts on this machine, with real processes."""

import asyncio
import fcntl
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.executors.local import LocalExecutor, Taken
from engine.executor import Executor, Handle, Phase, Slot
from engine.refusal import Refusal
from engine.work.identity import environments, processes_of
from tests.contract.executor import ExecutorContract, Stage, ended, reported, until

CHILDREN = Path(__file__).parents[2] / "fakes" / "children.py"


def new(root: Path, **others: Any) -> LocalExecutor:
    settings = {"slots": [Slot("cpu", 0, 8.0)], "environments": {}, "grace_s": 5.0, **others}
    return LocalExecutor("local", root, sys.executable, program=[str(CHILDREN)], **settings)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    root = tmp_path / "runs"
    yield Stage(root, lambda: new(root))
    for runner in root.glob("*/attempts/*/runner.json"):
        end_all(runner.parent)


def end_all(folder: Path) -> None:
    for pid in processes_of(folder):
        os.kill(pid, signal.SIGKILL)


def folder_of(stage: Stage, handle: Handle) -> Path:
    return stage.root / handle.id


def read(path: Path) -> Any:
    return json.loads(path.read_text())


async def is_deserted(folder: Path) -> None:
    async def nobody_is_left() -> bool:
        return processes_of(folder) == []

    await until(nobody_is_left)


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def stage(self, stage: Stage) -> Stage:
        return stage


async def surroundings(stage: Stage, executor: Executor, kind: str = "train") -> Any:
    attempt = stage.attempt("looks_around", kind=kind)
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    assert (await ended(executor, handle)).code == 0
    return json.loads((await executor.events(handle, 0))[0].data["text"])


async def test_a_training_sees_no_token_and_is_offline(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("SOMETHING_ELSE", "secret")
    seen = await surroundings(stage, new(stage.root, environments={"push": {"HF_TOKEN": "hf_writer"}}))
    assert "secret" not in json.dumps(seen)
    assert "hf_writer" not in json.dumps(seen)
    assert seen["environment"]["HF_HUB_OFFLINE"] == "1"
    assert seen["environment"]["THREADTUNE_ATTEMPT"] == "1/train-1"


async def test_the_push_gets_the_token_that_was_meant_for_it(stage: Stage) -> None:
    seen = await surroundings(stage, new(stage.root, environments={"push": {"HF_TOKEN": "hf_writer"}}), "push")
    assert seen["environment"]["HF_TOKEN"] == "hf_writer"
    assert "HF_HUB_OFFLINE" not in seen["environment"]


async def test_a_child_is_nice_reads_nothing_and_works_in_its_folder(stage: Stage) -> None:
    seen = await surroundings(stage, stage.new())
    assert (seen["nice"], seen["stdin"]) == (19, "")
    assert seen["cwd"] == str(stage.root / "1" / "attempts" / "train-1")


def test_a_token_for_the_training_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="HF_TOKEN"):
        new(tmp_path, environments={"train": {"HF_TOKEN": "hf_secret"}})


async def test_killing_the_runner_kills_the_child_and_the_attempt_is_lost(stage: Stage) -> None:
    executor = stage.new()
    handle = await stage.submitted(executor, "has_a_grandchild")
    await reported(executor, handle)
    os.kill(read(folder_of(stage, handle) / "runner.json")["pid"], signal.SIGKILL)
    assert await ended(executor, handle) == Phase("lost", detail="its process was killed")
    await is_deserted(folder_of(stage, handle))


async def test_a_new_object_sees_a_runner_that_was_killed_before_it_was_made(stage: Stage) -> None:
    old = stage.new()
    handle = await stage.submitted(old, "works")
    await reported(old, handle)
    os.kill(read(folder_of(stage, handle) / "runner.json")["pid"], signal.SIGKILL)
    # The dead runner is a zombie of this process until the old object looks: a new one must not take it for alive.
    assert (await ended(stage.new(), handle)).name == "lost"
    assert (await old.observe(handle)).name == "lost"


async def test_killing_the_child_leaves_the_signal_as_its_code(stage: Stage) -> None:
    executor = stage.new()
    handle = await stage.submitted(executor, "works")
    await reported(executor, handle)
    os.kill(read(folder_of(stage, handle) / "heartbeat.json")["pid"], signal.SIGKILL)
    assert await ended(executor, handle) == Phase("exited", code=-9)


async def test_a_pid_that_came_again_is_not_taken_for_the_runner(stage: Stage) -> None:
    executor, attempt = stage.new(), stage.attempt("works")
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    await reported(executor, handle)
    record = read(attempt.folder / "runner.json")
    await executor.cancel(handle, save=False)
    await ended(executor, handle)
    (attempt.folder / "exit.json").unlink()
    (attempt.folder / "runner.json").write_text(json.dumps({**record, "pid": os.getpid()}))
    assert (await stage.new().observe(handle)).name == "lost"


async def test_an_attempt_of_an_earlier_boot_is_lost(stage: Stage) -> None:
    executor, attempt = stage.new(), stage.attempt("works")
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    await reported(executor, handle)
    record = read(attempt.folder / "runner.json")
    (attempt.folder / "runner.json").write_text(json.dumps({**record, "boot_id": "another"}))
    assert (await stage.new().observe(handle)) == Phase("lost", detail="the machine restarted")
    await is_deserted(attempt.folder)


async def test_an_attempt_of_another_host_is_unknown(stage: Stage) -> None:
    attempt = stage.attempt("works")
    attempt.folder.mkdir(parents=True)
    record = {"host": "elsewhere", "boot_id": "other", "pid": 1, "start_ticks": 1}
    (attempt.folder / "runner.json").write_text(json.dumps(record))
    assert (await stage.new().observe(stage.new().handle_for(attempt))).name == "unknown"


async def test_an_attempt_of_a_host_that_is_gone_is_lost_and_ends_should_it_come_back(stage: Stage) -> None:
    """A container that is made anew has another host name, and took its processes along."""
    executor, handle = new(stage.root, lapse_s=0.3), Handle("local", "1/attempts/train-1")
    folder = folder_of(stage, handle)
    folder.mkdir(parents=True)
    record = {"host": "elsewhere", "boot_id": "other", "pid": 1, "start_ticks": 1}
    (folder / "runner.json").write_text(json.dumps(record))
    (folder / "heartbeat.json").write_text("1")
    assert (await executor.observe(handle)).name == "unknown", "it has not been looked at for long enough"

    async def is_lost() -> bool:
        return (await executor.observe(handle)).name == "lost"

    await until(is_lost)
    assert (folder / "stop").read_text() == "drop"


async def test_an_interpreter_that_is_not_there_is_said_so(stage: Stage) -> None:
    executor = LocalExecutor("local", stage.root, "/no/such/python", {}, slots=[])
    attempt = stage.attempt("reports")
    with pytest.raises(Refusal, match="/no/such/python cannot be started"):
        await executor.submit(attempt, executor.handle_for(attempt))


async def test_an_interpreter_that_is_none_is_lost_and_its_log_says_why(stage: Stage) -> None:
    executor = LocalExecutor("local", stage.root, "/bin/false", {}, slots=[])
    attempt = stage.attempt("reports")
    handle = executor.handle_for(attempt)
    await executor.submit(attempt, handle)
    assert await ended(executor, handle) == Phase("lost", detail="it could not be started; its log says why")


async def test_a_line_that_a_full_disk_cut_is_passed_over(stage: Stage) -> None:
    executor = stage.new()
    handle = await stage.submitted(executor, "reports")
    await ended(executor, handle)
    path = folder_of(stage, handle) / "events.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[1][:20] + "\n" + "".join(lines[2:]) + '{"v": 1, "run"')
    assert [event.seq for event in await stage.new().events(handle, 0)] == [1, 3, 4, 5]


async def test_a_runner_that_left_the_attempt_to_another_is_not_taken_for_broken(stage: Stage) -> None:
    executor, attempt = stage.new(), stage.attempt("reports")
    handle = executor.handle_for(attempt)
    attempt.folder.mkdir(parents=True)
    with (attempt.folder / "runner.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        await executor.submit(attempt, handle)
        await is_deserted(attempt.folder)
        assert (await executor.observe(handle)).name == "pending"
    await stage.new().submit(attempt, handle)
    assert (await ended(executor, handle)).code == 0


async def test_two_submits_at_once_start_one_child(stage: Stage) -> None:
    attempt = stage.attempt("reports")
    executors = [stage.new() for _ in range(5)]
    handle = executors[0].handle_for(attempt)
    await asyncio.gather(*(executor.submit(attempt, handle) for executor in executors))
    for executor in executors:
        await ended(executor, handle)
    assert [event.seq for event in await stage.new().events(handle, 0)] == [1, 2, 3, 4, 5]


async def test_attempts_of_another_data_folder_are_not_ours(stage: Stage, tmp_path: Path) -> None:
    executor = stage.new()
    handle = await stage.submitted(executor, "works")
    await reported(executor, handle)
    assert await new(tmp_path / "other").list() == []
    assert await executor.list() == [handle]


async def test_each_training_gets_a_gpu_of_its_own_and_the_push_none(stage: Stage) -> None:
    executor = new(stage.root, slots=[Slot("GPU-a", 1, 80.0), Slot("GPU-b", 1, 80.0)])
    seen = set()
    for run in ("1", "2"):
        attempt = stage.attempt("works", run=run)
        await executor.submit(attempt, executor.handle_for(attempt))
        await reported(executor, executor.handle_for(attempt))
        seen.add(gpu_of(attempt.folder))
    assert seen == {"GPU-a", "GPU-b"}
    with pytest.raises(Taken, match="every GPU"):
        await executor.submit(stage.attempt("works", run="3"), Handle("local", "3/attempts/train-1"))
    assert (await surroundings(stage, executor, "push"))["environment"]["CUDA_VISIBLE_DEVICES"] == ""


def gpu_of(folder: Path) -> str:
    values = dict(environments())[read(folder / "heartbeat.json")["pid"]]
    return values["CUDA_VISIBLE_DEVICES"]
