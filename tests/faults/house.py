"""A bot that is killed and started again, as a supervisor does, and the history it leaves behind."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from bot import store as conversation
from bot.chat import Command, Person, Place, Press, Upload
from bot.store.tables import watches
from engine import store
from engine.database import make_engine
from engine.hub.client import connect
from engine.hub.upload.claim import title
from engine.jobs import Run
from engine.work.identity import FOLDER_VARIABLE, environments
from tests.faults.chat import Platform, Shown
from tests.faults.invariants import History, Said

ANN = Person("U1", "ann")
THREAD = Place("C1/1")
ROOT = Path(__file__).parents[2]
FACTS = b"text\n" + b"".join(b'"human: what is %d? bot: it is %d."\n' % (n, n) for n in range(24))


@dataclass
class Bot:
    """One bot over a folder: `fault` is where its first process dies."""

    folder: Path
    platform: Platform
    endpoint: tuple[str, str]
    fault: str = ""
    children: str = "quick"
    database_url: str = ""
    starts: int = 0
    exits: list[int] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    is_stopping: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    inside: tuple[str, ...] = ()
    """What the bot's process is started by, such as a container of its own."""
    others: set[str] = field(default_factory=set)
    """The models that were on the Hub before."""

    @property
    def reached(self) -> Path:
        return self.folder / "reached"

    @property
    def url(self) -> str:
        return self.database_url or f"sqlite:///{self.folder / 'data' / 'threadtune.db'}"

    def environment(self) -> dict[str, str]:
        fault = {"FAULT": f"{self.fault}:{self.reached}"} if self.fault else {}
        return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **fault}

    async def start(self) -> asyncio.subprocess.Process:
        values = {
            "data": str(self.folder / "data"),
            "cache": str(self.folder / "cache"),
            "endpoint": self.endpoint[0],
            "token": self.endpoint[1],
            "children": self.children,
            "commits": str(self.folder / "commits"),
            "database_url": self.database_url,
            **self.extra,
        }
        (self.folder / "settings.json").write_text(json.dumps(values))
        with (self.folder / "bot.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(
                    *self.inside,
                    sys.executable,
                    "-m",
                    "tests.faults.bot",
                    str(self.folder / "settings.json"),
                    self.platform.url,
                ),
                env=self.environment(),
                cwd=ROOT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def supervise(self) -> None:
        """Start it, and again whenever it is killed."""
        while True:
            self.process = await self.start()
            self.exits.append(await self.process.wait())
            if self.exits[-1] != -signal.SIGKILL or self.is_stopping:
                return

    async def says(self, key: str, timeout_s: float = 150.0) -> Shown:
        """The message of that key, or the first whose key begins so, once it stands there with all it will say."""
        async with asyncio.timeout(timeout_s):
            while not (found := [s for s in self.platform.shown if s.key.startswith(key)]):  # noqa: ASYNC110
                await asyncio.sleep(0.03)
        return found[0]

    async def sees(self, key: str, is_it: Callable[[str], bool]) -> None:
        """Until the message of that key has such a title."""
        shown = await self.says(key)
        async with asyncio.timeout(150):
            while not is_it(shown.message["title"]):  # noqa: ASYNC110  # a platform tells nobody
                await asyncio.sleep(0.03)

    async def plans(self, words: str = "sft max_steps=4 max_length=64 valid=off", times: int = 1) -> Shown:
        """Drop a file, wait for the report, ask for a run, wait for its draft."""
        self.platform.files["facts.csv"] = FACTS
        key = self.platform.does(ANN, THREAD, Upload("facts.csv", "facts.csv", len(FACTS)), times)
        await self.sees(f"{key}/report", lambda title: bool(title))
        self.platform.does(ANN, THREAD, Command(words), times)
        draft = await self.says("draft/")
        async with asyncio.timeout(150):
            while not draft.message["buttons"]:  # noqa: ASYNC110  # it may say first that it is still reading
                await asyncio.sleep(0.03)
        return draft

    def presses(self, draft: Shown, label: str = "Start", times: int = 1) -> None:
        action = next(button["action"] for button in draft.message["buttons"] if button["label"] == label)
        self.platform.does(ANN, Place(draft.place), Press(action), times)
        self.starts += 1

    async def settled(self, run: str = "1", timeout_s: float = 300.0) -> None:
        """Until the run's final message stands there, and the living one says the same."""
        final = await self.says(f"run/{run}/final", timeout_s)
        word = final.message["title"].split()[-1]
        await self.sees(f"run/{run}/live", lambda title: title.endswith(word))

    async def rests(self) -> None:
        """Until the fault has struck, and the bot that came after it has nothing left to say."""
        async with asyncio.timeout(60):
            while self.fault and not self.fault.startswith("pause@") and not self.reached.exists():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            while not self.process or self.process.returncode is not None or self._unsent():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def _unsent(self) -> bool:
        engine = make_engine(self.url)
        try:
            with engine.begin() as db:
                return bool(conversation.unsent(db, time.time() + 60) or conversation.unanswered(db))
        finally:
            engine.dispose()

    def runs(self) -> list[Run]:
        engine = make_engine(self.url)
        try:
            with engine.begin() as db:
                return store.recent_runs(db, 100)
        finally:
            engine.dispose()

    def history(self) -> History:
        runs = self.runs()
        engine = make_engine(self.url)
        with engine.begin() as db:
            chosen = sa.select(watches.c.run, watches.c.place)
            places = {row.run: row.place for row in db.execute(chosen)}
        engine.dispose()
        said = [
            Said(s.key, s.place, s.message["title"], msgspec.json.encode(s.message).decode())
            for s in self.platform.shown
        ]
        return History(self.starts, runs, places, said, self.commits(runs), self.processes())

    def commits(self, runs: list[Run]) -> list[tuple[str, str]]:
        """What the Hub has: of the quick children a list, of the real ones the repo's own history."""
        if self.children == "quick":
            file = self.folder / "commits"
            lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
            return [(line["repo"], line["run"]) for line in lines]
        api = connect(self.endpoint[1], self.endpoint[0])
        (run,) = runs
        ours = self.repos() - self.others
        titles = [(repo, commit.title) for repo in ours for commit in api.list_repo_commits(repo)]
        return [(repo, run.id) for repo, said in titles if said == title(run.id)]

    def repos(self) -> set[str]:
        """Every model that the Hub has."""
        api = connect(self.endpoint[1], self.endpoint[0])
        return {model.id for model in api.list_models(author="local")}

    def processes(self) -> list[int]:
        runs = (self.folder / "data" / "runs").resolve()
        return [pid for pid, values in environments() if Path(values.get(FOLDER_VARIABLE, "/")).is_relative_to(runs)]


@contextlib.asynccontextmanager
async def bot(folder: Path, endpoint: tuple[str, str], **chosen: Any) -> AsyncIterator[Bot]:
    """A supervised bot and its platform while the block runs."""
    platform = Platform()
    server = await platform.start()
    made = Bot(folder, platform, endpoint, **chosen)
    made.others = await asyncio.to_thread(made.repos)
    supervising = asyncio.create_task(made.supervise())
    try:
        yield made
        made.is_stopping = True
        if made.process and made.process.returncode is None:
            made.process.terminate()
        async with asyncio.timeout(150):
            await supervising
    finally:
        supervising.cancel()
        if made.process and made.process.returncode is None:
            made.process.kill()
        await server.cleanup()
