"""Twenty runs at once in one workspace, by a clock that runs thirty times as fast: Slack never has to say 429."""

import asyncio
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest

import engine.store
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
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin

pytestmark = pytest.mark.slow
SPEED = 30.0
RUNS, TRAINS_S = 20, 120.0
SPEC = JobSpec("sft", Model("acme/base"), Source("a.csv", "0" * 64, {}), requester="U1")


def quick() -> float:
    return time.monotonic() * SPEED


async def test_twenty_runs_at_once_never_meet_a_429(tmp_path: Path, there: Twin, hands: Hands) -> None:
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
