"""A database, executors and a scheduler for tests, over a folder that outlives them."""

from pathlib import Path

from engine import store
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source, Target
from engine.work.placing import place_sources
from engine.work.scheduler import Scheduler
from tests.fakes.executor import Child, FakeExecutor

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "a" * 64, {"text": "text"}), target=Target("team/name"))


class House:
    """A database, both sides and a scheduler; `restart` makes all objects anew over what outlives a process."""

    def __init__(self, folder: Path, slots: int = 1) -> None:
        self.folder = folder
        self.slots = slots
        self.database = Database(f"sqlite:///{folder / 'test.db'}")
        self.trainer = FakeExecutor("trainer", slots)
        self.ours = FakeExecutor("ours", slots=4)
        self.now = 100.0
        self.scheduler = self._scheduler()

    def _scheduler(self) -> Scheduler:
        link = place_sources(self.folder / "uploads")
        return Scheduler(self.database, self.trainer, self.ours, self.folder / "runs", link)

    def restart(self) -> None:
        self.trainer = FakeExecutor("trainer", self.slots, self.trainer.children)
        self.ours = FakeExecutor("ours", 4, self.ours.children)
        self.scheduler = self._scheduler()

    async def queue(self, spec: JobSpec = SPEC) -> str:
        return (await self.database.write(store.queue_run, spec, self.now)).id

    async def run(self, run_id: str = "1") -> Run:
        run = await self.database.read(store.run, run_id)
        assert run is not None
        return run

    async def tick(self, count: int = 1) -> Run:
        for _ in range(count):
            self.now += 1
            await self.scheduler.tick(self.now)
        return await self.run()

    async def cancel(self, run_id: str = "1", save: bool = False) -> None:
        assert await self.database.write(store.ask_cancel, run_id, save)

    def child(self, attempt: str, run: str = "1") -> Child:
        side = self.trainer if attempt.startswith("train") else self.ours
        return side.child(run, attempt)

    async def finish(self, attempt: str, run: str = "1", **data: object) -> Run:
        """The child says that it is done and exits; two ticks later the next one has started."""
        self.child(attempt, run).say("finished", **data)
        self.child(attempt, run).end()
        return await self.tick(2)

    async def until_training(self) -> Run:
        await self.queue()
        await self.tick()
        return await self.finish("fetch-1")
