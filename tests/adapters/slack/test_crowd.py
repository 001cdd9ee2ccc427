"""Twenty runs at once in one workspace, by a clock that runs faster: Slack never has to say 429."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import engine.store
from adapters.chat.slack.chat import SlackChat
from bot import store
from bot.chat import Person, Place
from bot.migrate import upgrade
from bot.outbox import Outbox
from bot.settings import Settings
from bot.talk.context import Context
from bot.talk.runs import progress
from engine.database import Database
from engine.jobs import JobSpec, Model, Progress, Run, Source, Status
from tests.adapters.slack import lines
from tests.adapters.slack.room import FACTS, LOOK_S, SMALL, chosen, sees
from tests.e2e.crowd import Crowd, served
from tests.e2e.house import hub
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import BOT, Channel

pytestmark = pytest.mark.slow
SPEED = 30.0
RUNS, TRAINS_S = 20, 120.0
SPEC = JobSpec("sft", Model("acme/base"), Source("a.csv", "0" * 64, {}), requester="U1")


def quick() -> float:
    return time.monotonic() * SPEED


async def test_twenty_living_messages_never_meet_a_429(tmp_path: Path, there: Twin, hands: Hands) -> None:
    there.rates.clock = quick
    chat = lines.chat(there)
    chat.api.pace.clock, chat.posted.look_back_s = quick, 0.0
    settings = Settings(_env_file=None, data=tmp_path, cache=tmp_path, team_channel="#team")
    upgrade(settings.database)
    database = Database(settings.database)
    context, outbox = Context(settings, database, chat, quick), Outbox(database, chat, quick)
    runs = []
    for _ in range(RUNS):
        thread = hands.says("U1", "C1", "a thread")
        run = await database.write(engine.store.queue_run, SPEC, quick())
        await database.write(store.watch, run.id, Place(f"T1/C1/{thread}"), Person("U1", "ann"))
        runs.append(run)
    began = quick()
    while (now := quick() - began) < TRAINS_S:
        await _at(database, runs, replace(runs[0], status=Status.running, progress=Progress("train", int(now), 240)))
        await _tick(context, outbox)
    edits = dict(there.at.edits)
    await _at(database, runs, replace(runs[0], status=Status.succeeded, started_at=began, ended_at=quick()))
    async with asyncio.timeout(120):
        while len(_finals(hands)) < RUNS or bool(await database.read(store.unsent, math.inf)):
            await _tick(context, outbox)
    database.close()
    assert there.at.refused == []
    assert len(edits) == RUNS and min(edits.values()) >= 1
    assert len(_finals(hands)) == RUNS and there.at.pings == {"U1": RUNS}


async def _at(database: Database, runs: list[Run], now: Run) -> None:
    for run in runs:
        await database.write(engine.store.save_run, replace(now, id=run.id))


async def _tick(context: Context, outbox: Outbox) -> None:
    await progress.tick(context)
    await outbox.tick()
    await asyncio.sleep(0.01)


def _finals(hands: Hands) -> list[str]:
    said = hands.sees("U1")
    return [
        shown.ts
        for shown in said
        if shown.title.endswith(" succeeded") and "·" not in shown.title and shown.channel == "C1"
    ]


# ---- whole runs


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[tuple[str, str]]:
    with hub(tmp_path / "hub") as there:
        yield there


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    made = Crowd(slots=RUNS, train_s=1.0, steps=300)
    yield made
    await made.ends()


def hurried(there: Twin) -> SlackChat:
    """An adapter that takes five seconds for one, as the twin does with its limits."""
    chat = lines.chat(there)
    chat.api.pace.clock = there.rates.clock = lambda: time.monotonic() * 5
    return chat


async def test_twenty_whole_runs_at_once_never_meet_a_429(
    tmp_path: Path, there: Twin, hands: Hands, endpoint: tuple[str, str], crowd: Crowd
) -> None:
    """Asked for in twenty threads of four channels, through the whole bot; it is restarted while they train."""
    settings = chosen(tmp_path, endpoint).model_copy(update={"max_running": 0, "max_queued": 0})
    for number in range(4):
        there.at.channels[f"C1{number}"] = Channel(f"C1{number}", f"ml-{number}", {"U1", BOT})
    async with served(settings, hurried(there), crowd):
        ts = hands.drops("U1", "C1", "facts.csv", FACTS)
        await sees(hands, lambda shown: "facts.csv is ready for" in shown.title)
        hands.says("U1", "C1", f"<@{BOT}> sft {SMALL}", ts)
        hands.press_label("U1", await sees(hands, lambda shown: "Start" in shown.buttons), "Start")
        await sees(hands, lambda shown: shown.title == "Run 1 succeeded" and shown.channel == "C1")
        crowd.train_s = 600.0  # until all were seen at work
        threads = [hands.says("U1", f"C1{n % 4}", f"<@{BOT}> retry 1") for n in range(RUNS)]
        await come(lambda: [one for one in living(hands) if "Step" in one.all], RUNS)
    before = there.at.edits.copy()
    crowd.train_s = 3.0
    async with served(settings, hurried(there), crowd):
        await come(lambda: finals(hands), RUNS)
        await come(lambda: [one for one in living(hands) if one.title.endswith("· succeeded")], RUNS)
        await come(lambda: [shown for shown in hands.sees("U1") if shown.channel == "C2"], RUNS + 1)
    assert there.at.refused == []
    assert crowd.most == RUNS
    assert {final.thread for final in finals(hands)} == set(threads), "each in the thread that it was asked for in"
    assert len(living(hands)) == RUNS and all(there.at.edits[one.ts] > before[one.ts] for one in living(hands))
    assert there.at.pings == {"U1": RUNS + 1}


async def come(messages: Callable[[], list[Shown]], count: int) -> None:
    """Wait until there are so many."""
    async with asyncio.timeout(LOOK_S):
        while len(messages()) < count:  # noqa: ASYNC110  a platform tells nobody
            await asyncio.sleep(0.2)


def of_runs(hands: Hands) -> list[Shown]:
    """What was said of a run in the four channels."""
    said = hands.sees("U1")
    return [
        shown for shown in said if shown.channel[:2] == "C1" and shown.channel != "C1" and shown.title[:4] == "Run "
    ]


def living(hands: Hands) -> list[Shown]:
    return [shown for shown in of_runs(hands) if " · " in shown.title]


def finals(hands: Hands) -> list[Shown]:
    return [shown for shown in of_runs(hands) if shown.title.endswith(" succeeded") and " · " not in shown.title]
