"""`make demo`: a whole conversation on the console, with a real run at its heart, and `demo.json` as its record."""

import asyncio
import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.chat.console.chat import Console, Posted
from adapters.chat.console.local import settings
from adapters.chat.console.screen import Screen
from bot import log
from bot.app import App, make
from bot.chat import Incoming, Place
from bot.settings import Settings
from bot.wording.run import answer_rows
from engine import store
from engine.data.types import NEEDS
from engine.events import read_events
from engine.folder import RunFolder
from engine.jobs import Run, Status
from engine.refusal import Refusal

DATA = Path("data/demo")
THREAD = Place("general/1")
ANSWER_S = 60.0
RUN_S = 900.0
END_S = 30.0


@dataclass(frozen=True)
class Script:
    """The good file, the held-out one, and the options that let a run end in time on two cores."""

    file: str
    options: str


SCRIPTS = {
    "sft": Script("facts", "max_steps=60"),
    "clm": Script("passages", "max_steps=60"),
    "reward": Script("rewards", "max_steps=50"),
    "dpo": Script("preferences", "max_steps=25"),
    "orpo": Script("preferences", "max_steps=25"),
    "kto": Script("answers", "max_steps=25"),
    "mlm": Script("passages", "max_steps=50"),
}


def demo(method: str) -> int:
    """Exit code 0 when the run succeeded and its model was read back from the Hub."""
    if method not in NEEDS:
        raise Refusal(f"`{method}` is no method; these are: {', '.join(NEEDS)}.")
    for leftover in ("threadtune.db", "threadtune.db-wal", "threadtune.db-shm"):
        (DATA / leftover).unlink(missing_ok=True)
    for leftover in ("uploads", "runs", "console", "arrivals"):
        shutil.rmtree(DATA / leftover, ignore_errors=True)
    DATA.mkdir(parents=True, exist_ok=True)
    screen = Screen()
    with (DATA / "bot.log").open("w", buffering=1) as file, settings(screen, data=DATA) as chosen:
        log.to(file)
        return asyncio.run(_play(chosen, screen, method))


async def _play(chosen: Settings, screen: Screen, method: str) -> int:
    console = Console(chosen.data / "console", screen)
    app = make(chosen, console)
    async with app.running():
        listening = asyncio.create_task(console.listen(app.handle, ""))
        try:
            run = await _Person(console, chosen).asks_for(method, app)
        except BaseException:
            await _end_all(app)
            raise
        console.leave()
        await listening
    record = _record(chosen, console, run)
    screen.picture(chosen.data / "conversation.svg")
    screen.picture(chosen.data / "short.svg", _essence(console))
    (chosen.data / "demo.json").write_text(json.dumps(record, indent=2, ensure_ascii=False))
    screen.note(f"The record of this conversation: {chosen.data / 'demo.json'}. `make hub` shows the models.")
    if chosen.hf_namespace == "local":
        screen.note("The code above needs the local Hub's token: HF_TOKEN=$(cat data/hub/token)")
    return 0 if run.status == Status.succeeded and record["local_files"] == record["remote_files"] else 1


async def _end_all(app: App) -> None:
    """Whatever still runs is ended: the next demo begins with an empty folder."""
    for run in await app.database.read(store.open_runs):
        await app.database.write(store.ask_cancel, run.id, save=False)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            while await app.database.read(store.open_runs):  # noqa: ASYNC110  the database tells nobody
                await asyncio.sleep(0.2)


class _Person:
    """Does what a person would, and waits for each answer."""

    def __init__(self, console: Console, chosen: Settings) -> None:
        self.console = console
        self.examples = chosen.examples

    async def asks_for(self, method: str, app: App) -> Run:
        script = SCRIPTS[method]
        await self._drops("broken.csv")
        await self._says("dop")
        await self._drops(f"{script.file}.csv")
        await self._drops(f"{script.file}-heldout.csv")
        words = f"{method} file={script.file}.csv valid={script.file}-heldout.csv {script.options}"
        self._say(words)
        plan = await self._until(
            lambda posted: posted.message.key.startswith("draft/") and bool(posted.message.buttons), ANSWER_S
        )
        if "Unescape \\n" in [button.label for button in plan.message.buttons]:
            plan = await self._presses(plan, "Unescape \\n")
        self._press(plan, "Start")
        final = await self._until(lambda posted: posted.message.key.endswith("/final"), RUN_S)
        await self._until(lambda posted: posted.place.id == "team", ANSWER_S)
        await self._until(lambda posted: posted.message.key.endswith("/live") and not posted.message.buttons, ANSWER_S)
        run = await app.database.read(store.run, final.message.key.split("/")[1])
        if run is None:
            raise Refusal("The run is not in the database.")
        return run

    async def _drops(self, name: str) -> None:
        self.console.screen.note(f"\n▸ {self.console.me.name} drops {name}")
        incoming = self.console.drop(THREAD, self.examples / name)
        await self._answered(incoming, "/report", buttons_matter=True)

    async def _says(self, words: str) -> None:
        await self._answered(self._say(words), "/refusal")

    def _say(self, words: str) -> Incoming:
        self.console.screen.note(f"\n▸ {self.console.me.name} types /finetune {words}")
        return self.console.say(THREAD, words)

    def _press(self, posted: Posted, label: str) -> None:
        self.console.screen.note(f"\n▸ {self.console.me.name} presses {label}")
        button = next(button for button in posted.message.buttons if button.label == label)
        self.console.press(posted.place, button.action)

    async def _presses(self, posted: Posted, label: str) -> Posted:
        """Press, and wait until the same message was edited."""
        self._press(posted, label)
        return await self._until(lambda now: now.id == posted.id and now.edits > posted.edits, ANSWER_S)

    async def _answered(self, incoming: Incoming, suffix: str, buttons_matter: bool = False) -> Posted:
        def is_it(posted: Posted) -> bool:
            return posted.message.key == f"{incoming.key}{suffix}" and bool(posted.message.title or not buttons_matter)

        return await self._until(is_it, ANSWER_S)

    async def _until(self, is_it: Callable[[Posted], bool], timeout_s: float) -> Posted:
        try:
            return await self.console.until(is_it, timeout_s)
        except TimeoutError:
            said = list(self.console.posted.values())[-1].message
            words = said.title or said.text
            raise Refusal(
                f"No answer for {timeout_s:g} s; the last one was “{words}”. {DATA}/bot.log has more."
            ) from None


def _essence(console: Console) -> set[str]:
    """What a picture of the conversation needs: the mistakes, the request, the run and its end."""
    ends = ("console/1/report", "/live", "/final", "/card")
    messages = {posted.id for posted in console.posted.values() if posted.message.key.endswith(ends)}
    notes = {name for name in console.screen.shown if "broken.csv" in name or "file=" in name or "Start" in name}
    return messages | notes


def _record(chosen: Settings, console: Console, run: Run) -> dict[str, object]:
    """What happened, in figures that a test can check against the files themselves."""
    folder = RunFolder(chosen.runs / run.id)
    trained, pushed = folder.finished("train"), folder.finished("push")
    events = read_events(trained.folder / "events.jsonl") if trained else []
    posted = console.posted.values()
    return {
        "method": run.spec.method,
        "status": run.status.value,
        "reason": run.reason,
        "messages": {p.message.key: {"id": p.id, "place": p.place.id, "edits": p.edits} for p in posted},
        "steps": [event.data["step"] for event in events if event.kind == "step"],
        "local_files": _hashes(pushed.folder / "upload") if pushed else {},
        "remote_files": dict(sorted(run.result.files.items())),
        "repo": run.result.repo,
        "revision": run.result.revision,
        "metrics": dict(run.result.metrics),
        "answers": answer_rows(run.result.answers),
        "seconds": round(run.ended_at - run.started_at, 1),
        "bot_peak_rss_mb": _peak_rss_mb(),
    }


def _peak_rss_mb() -> float:
    """The most memory that the bot's process held; 0 where the system does not say.

    Not from getrusage: its maximum is handed down from whoever started this process.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return round(int(found[1]) / 1024, 1) if found else 0.0


def _hashes(folder: Path) -> dict[str, str]:
    """sha256 of each file as it was sent."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
