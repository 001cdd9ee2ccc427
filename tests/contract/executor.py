"""What every executor owes. A test module subclasses `ExecutorContract` and says how to make one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from engine.events import Event
from engine.executor import Executor, Handle, Phase
from engine.jobs import Attempt

PATIENCE_S = 90.0


class Stage:
    """A place where attempts run. `new` makes an executor object on it; each call another one, as a restart does."""

    def __init__(self, root: Path, new: Callable[[], Executor]) -> None:
        self.root = root
        self.new = new

    def attempt(self, play: str, run: str = "1", kind: str = "train", number: int = 1) -> Attempt:
        """An attempt that will behave as `tests.fakes.children` names it."""
        folder = self.root / run
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "play").write_text(play)
        return Attempt(run, kind, number, folder)

    async def submitted(self, executor: Executor, play: str) -> Handle:
        attempt = self.attempt(play)
        handle = executor.handle_for(attempt)
        await executor.submit(attempt, handle)
        return handle


async def until(question: Callable[[], Awaitable[bool]], patience_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(patience_s):
        while not await question():  # noqa: ASYNC110  # a process tells nobody when it is ready
            await asyncio.sleep(0.01)


async def ended(executor: Executor, handle: Handle, patience_s: float = PATIENCE_S) -> Phase:
    async def is_over() -> bool:
        return (await executor.observe(handle)).name in ("exited", "lost")

    await until(is_over, patience_s)
    return await executor.observe(handle)


async def reported(executor: Executor, handle: Handle, after_seq: int = 0) -> list[Event]:
    """What was reported, once there is something."""

    async def has_some() -> bool:
        return bool(await executor.events(handle, after_seq))

    await until(has_some)
    return await executor.events(handle, after_seq)


class ExecutorContract:
    @pytest.fixture
    def stage(self, tmp_path: Path) -> Stage:
        raise NotImplementedError

    async def test_the_same_attempt_has_the_same_handle(self, stage: Stage) -> None:
        first, second = stage.attempt("reports"), stage.attempt("reports", number=2)
        assert stage.new().handle_for(first) == stage.new().handle_for(first)
        assert stage.new().handle_for(first) != stage.new().handle_for(second)

    async def test_there_is_at_least_one_slot(self, stage: Stage) -> None:
        assert stage.new().slots()

    async def test_an_attempt_reports_from_one_on_and_exits_with_its_code(self, stage: Stage) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "reports")
        assert (await ended(executor, handle)).code == 0
        events = await executor.events(handle, 0)
        assert [event.seq for event in events] == [1, 2, 3, 4, 5]
        assert (events[0].kind, events[-1].kind) == ("started", "finished")

    async def test_submitting_again_starts_nothing(self, stage: Stage) -> None:
        executor, attempt = stage.new(), stage.attempt("reports")
        handle = executor.handle_for(attempt)
        await executor.submit(attempt, handle)
        await executor.submit(attempt, handle)
        await stage.new().submit(attempt, handle)
        await ended(executor, handle)
        await stage.new().submit(attempt, handle)
        events = await stage.new().events(handle, 0)
        assert [event.kind for event in events].count("started") == 1

    async def test_a_new_object_goes_on_where_the_old_one_was(self, stage: Stage) -> None:
        old = stage.new()
        handle = await stage.submitted(old, "works")
        heard = await reported(old, handle)
        new = stage.new()
        assert (await new.observe(handle)).name == "running"
        await new.cancel(handle, save=True)
        await ended(new, handle)
        rest = await new.events(handle, heard[-1].seq)
        assert [event.seq for event in heard + rest] == list(range(1, rest[-1].seq + 1))

    async def test_asking_twice_for_the_same_events_gives_the_same(self, stage: Stage) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "reports")
        await ended(executor, handle)
        assert await executor.events(handle, 2) == await executor.events(handle, 2)
        assert [event.seq for event in await executor.events(handle, 0)] == [1, 2, 3, 4, 5]
        assert await executor.events(handle, 5) == []

    async def test_cancelling_before_the_start_is_harmless(self, stage: Stage) -> None:
        executor, attempt = stage.new(), stage.attempt("reports")
        handle = executor.handle_for(attempt)
        await executor.cancel(handle, save=False)
        await executor.submit(attempt, handle)
        assert (await ended(executor, handle)).name == "exited"

    async def test_cancelling_lets_the_child_say_that_it_stopped(self, stage: Stage) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "works")
        await reported(executor, handle, after_seq=1)
        await executor.cancel(handle, save=True)
        await executor.cancel(handle, save=True)
        assert (await ended(executor, handle)).name == "exited"
        assert (await executor.events(handle, 0))[-1].kind == "stopped"

    async def test_cancelling_after_the_end_changes_nothing(self, stage: Stage) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "reports")
        phase = await ended(executor, handle)
        await executor.cancel(handle, save=False)
        assert await executor.observe(handle) == phase
        assert (await executor.events(handle, 0))[-1].kind == "finished"

    async def test_an_attempt_that_nobody_knows_is_unknown_and_not_failed(self, stage: Stage) -> None:
        executor = stage.new()
        handle = executor.handle_for(stage.attempt("reports", run="404"))
        assert (await executor.observe(handle)).name == "unknown"
        assert await executor.events(handle, 0) == []
        await executor.cancel(handle, save=False)

    async def test_a_child_that_breaks_leaves_its_exit_code(self, stage: Stage) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "breaks")
        assert await ended(executor, handle) == Phase("exited", code=3)

    async def test_what_an_attempt_made_can_be_collected(self, stage: Stage, tmp_path: Path) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "reports")
        await ended(executor, handle)
        target = tmp_path / "collected"
        target.mkdir()
        await stage.new().collect(handle, ["output"], target)
        assert (target / "output" / "model.txt").read_text() == "weights"

    async def test_nothing_outside_an_attempt_is_collected(self, stage: Stage, tmp_path: Path) -> None:
        executor = stage.new()
        handle = await stage.submitted(executor, "reports")
        await ended(executor, handle)
        with pytest.raises(ValueError):
            await executor.collect(handle, ["../../play"], tmp_path)

    async def test_the_list_holds_what_runs_and_only_that(self, stage: Stage) -> None:
        executor = stage.new()
        assert await executor.list() == []
        handle = await stage.submitted(executor, "works")
        await reported(executor, handle)
        assert await stage.new().list() == [handle]
        await executor.cancel(handle, save=False)
        await ended(executor, handle)
        assert await stage.new().list() == []
