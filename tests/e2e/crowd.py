"""A place where many trainings run at once without a process each: real event files in real run folders.

What the bot, the scheduler, the outbox and a chat do with twenty runs can be seen so on a small machine.
"""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from bot.app import App
from bot.chat import Chat
from bot.settings import Settings
from engine.events import Event, EventLog, read_events
from engine.executor import Handle, Phase, Slot
from engine.jobs import Attempt


class Crowd:
    """PORT Executor. It outlives the bot that uses it, as processes do; `ends` has to be awaited at last.

    A training reports `steps` steps in `train_s` seconds, or stops where its folder holds that wish;
    a fetch and a push end at once.
    """

    def __init__(self, slots: int, train_s: float = 20.0, steps: int = 40) -> None:
        self.name = "crowd"
        self.train_s, self.steps = train_s, steps
        self.most = 0
        """How many trainings there were at once."""
        self._slots = [Slot(f"place-{number}", 0, 1.0) for number in range(slots)]
        self._folders: dict[Handle, Path] = {}
        self._work: dict[Handle, asyncio.Task[None]] = {}
        self._training: set[str] = set()

    def slots(self) -> list[Slot]:
        return self._slots

    def handle_for(self, attempt: Attempt) -> Handle:
        return Handle(self.name, f"{attempt.run}/{attempt.name}")

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        if handle not in self._work:
            self._folders[handle] = attempt.folder
            attempt.folder.mkdir(parents=True, exist_ok=True)
            self._work[handle] = asyncio.create_task(self._play(attempt))

    async def _play(self, attempt: Attempt) -> None:
        log = EventLog(attempt.folder, attempt.run, attempt.name)
        log.write("started", steps=self.steps if attempt.kind == "train" else 0)
        if attempt.kind == "train":
            await self._train(attempt, log)
        elif attempt.kind == "push":
            repo = f"local/of-run-{attempt.run}"
            log.write("finished", repo=repo, revision="abc", url=f"http://hub.example/{repo}", files={"model": "0"})
        else:
            log.write("finished")

    async def _train(self, attempt: Attempt, log: EventLog) -> None:
        self._training.add(attempt.run)
        self.most = max(self.most, len(self._training))
        for step in range(1, self.steps + 1):
            if (attempt.folder / "stop").exists():
                log.write("stopped", step=step, steps=self.steps)
                break
            left_s = self.train_s * (1 - step / self.steps)
            log.write("step", step=step, steps=self.steps, loss=2.0 / step, left_s=left_s)
            await asyncio.sleep(self.train_s / self.steps)
        else:
            (attempt.folder / "output").mkdir()
            (attempt.folder / "output" / "model.txt").write_text("weights")
            log.write("finished", metrics={"eval_loss": 0.5}, train_s=self.train_s)
        self._training.discard(attempt.run)

    async def observe(self, handle: Handle) -> Phase:
        if handle not in self._work:
            return Phase("unknown", detail=f"{self.name} knows no attempt {handle.id}")
        return Phase("exited", code=0) if self._work[handle].done() else Phase("running")

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        folder = self._folders.get(handle)
        return read_events(folder / "events.jsonl", after_seq) if folder else []

    async def cancel(self, handle: Handle, save: bool) -> None:
        if folder := self._folders.get(handle):
            (folder / "stop").write_text("save" if save else "drop")

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        for name in names:
            source = self._folders[handle] / name
            (shutil.copytree if source.is_dir() else shutil.copy2)(source, target / name)

    async def list(self) -> list[Handle]:
        return [handle for handle, work in self._work.items() if not work.done()]

    async def ends(self) -> None:
        for work in self._work.values():
            work.cancel()
        done = await asyncio.gather(*self._work.values(), return_exceptions=True)
        assert not [each for each in done if isinstance(each, Exception)], done


@contextlib.asynccontextmanager
async def served(chosen: Settings, chat: Chat, crowd: Crowd) -> AsyncIterator[App]:
    """The whole bot before that chat, its runs in the crowd, while the block runs."""
    app = App(chosen, chat, crowd, crowd)
    serving = asyncio.create_task(app.serve())
    try:
        yield app
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
