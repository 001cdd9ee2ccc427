"""The whole bot for a test: a fake chat in front, a real local Hub behind, real children in between."""

import asyncio
import contextlib
import math
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

from huggingface_hub import HfApi
from pydantic import SecretStr
from safetensors.numpy import load_file, save_file

from bot import store
from bot.app import App, make
from bot.chat import Command, Message, Person, Place, Press, Upload
from bot.settings import Settings
from engine.hub.client import connect
from tests.fakes.chat import FakeChat, Server
from tests.mini import make_causal, make_masked

ANN = Person("U1", "ann")
THREAD = Place("C1/1")
TEAM = Place("C0")
ANSWER_S = 60.0
RUN_S = 240.0
TEXTS = [f"human: what is {word}? bot: {word} is a thing of threadtune." for word in ("sft", "dpo", "a run", "a repo")]


@contextlib.contextmanager
def hub(folder: Path) -> Iterator[tuple[str, str]]:
    """A local Hub as a process of its own, with two tiny base models; its endpoint and write token."""
    command = [sys.executable, "-m", "adapters.localhub", "--port", "0", "--data", str(folder / "hub")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    try:
        assert process.stdout
        found = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert found
        token = (folder / "hub" / "token").read_text().strip()
        add_models(connect(token, found[0]), folder)
        yield found[0], token
    finally:
        process.terminate()
        process.wait(10)
        if process.stdout:
            process.stdout.close()


def add_models(api: HfApi, folder: Path) -> None:
    """Two tiny base models on a Hub, and one that is broken."""
    for name, make_model in (("mini", make_causal), ("mini-masked", make_masked), ("mini-nan", make_poisoned)):
        api.create_repo(f"local/{name}")
        api.upload_folder(repo_id=f"local/{name}", folder_path=make_model(folder / name, TEXTS))


def make_poisoned(folder: Path, texts: Sequence[str]) -> Path:
    """A tiny model with one weight that is no number, so that its first loss is none either."""
    file = make_causal(folder, texts) / "model.safetensors"
    weights = load_file(file)
    next(iter(weights.values())).flat[0] = math.nan
    save_file(weights, file, {"format": "pt"})
    return folder


def settings(folder: Path, endpoint: str, token: str) -> Settings:
    return Settings(
        _env_file=None,
        data=folder / "data",
        cache=folder / "cache",
        chat="fake",
        team_channel=TEAM.id,
        default_model="local/mini",
        hf_endpoint=endpoint,
        hf_public_endpoint="",
        hf_token=SecretStr(token),
        hf_namespace="local",
        http_port=0,
    )


class House:
    """A person's hands and eyes in one thread."""

    def __init__(self, app: App, server: Server) -> None:
        self.app = app
        self.server = server

    async def drops(self, name: str, content: str | bytes, place: Place = THREAD) -> Message:
        """Drop a file and return the report."""
        data = content.encode() if isinstance(content, str) else content
        self.server.files[name] = data
        incoming = self.server.does(ANN, place, Upload(name, name, len(data)))
        return await self.sees(lambda message: message.key == f"{incoming.key}/report" and bool(message.title))

    def says(self, words: str, place: Place = THREAD) -> str:
        return self.server.does(ANN, place, Command(words)).key

    async def answered(self, words: str, place: Place = THREAD) -> Message:
        """Say something and return the answer to it."""
        key = self.says(words, place)
        return await self.sees(lambda message: message.key == f"{key}/answer")

    async def plans(self, words: str, place: Place = THREAD) -> Message:
        """Ask for a run and return its draft."""
        before = {message.key for message in self.all()}
        self.says(words, place)
        return await self.sees(lambda m: m.key.startswith("draft/") and m.key not in before and bool(m.buttons))

    def presses(self, message: Message, label: str, place: Place = THREAD) -> str:
        action = next(button.action for button in message.buttons if button.label == label)
        return self.server.does(ANN, place, Press(action)).key

    async def sees(self, is_it: Callable[[Message], bool], timeout_s: float = ANSWER_S) -> Message:
        async with asyncio.timeout(timeout_s):
            while not (found := next(filter(is_it, self.all()), None)):  # noqa: ASYNC110  a platform tells nobody
                await asyncio.sleep(0.05)
        return found

    async def ends(self, run: str = "1") -> Message:
        """The run's final message, once everything else that its end makes the bot say was said too."""
        final = await self.sees(lambda message: message.key == f"run/{run}/final", RUN_S)
        async with asyncio.timeout(ANSWER_S):
            while await self.app.database.read(store.unsent, math.inf):  # noqa: ASYNC110  the outbox tells nobody
                await asyncio.sleep(0.05)
        return final

    def all(self, place: Place | None = None) -> list[Message]:
        shown = self.server.messages.values()
        return [message for where, message in shown if place in (None, where)]


@contextlib.asynccontextmanager
async def house(chosen: Settings, server: Server | None = None) -> AsyncIterator[House]:
    """The bot serves while the block runs; entering again with the same folder and server is a restart."""
    server = server or Server()
    app = make(chosen, FakeChat(server))
    serving = asyncio.create_task(app.serve())
    try:
        yield House(app, server)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def trainers(runs: Path) -> list[int]:
    """The training children of the runs in this folder, without the runners around them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"engine train {runs.resolve()}" in line and "engine.work.runner" not in line:
                found.append(int(folder.name))
    return found
