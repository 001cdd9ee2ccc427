"""What attempts did is counted once, while they are at work and after; a heartbeat that stopped is shown."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

import engine.store
from bot import children
from bot.settings import Settings
from bot.watching.attempts import SILENT_S, Attempts, durations
from bot.web import Health, serve_web
from engine.events import Event
from engine.executor import Handle
from engine.hub import tally
from engine.hub.client import connect
from engine.jobs import Attempt
from engine.refusal import Refusal
from engine.work.identity import FOLDER_VARIABLE
from tests.bot.team.room import START, Room, room
from tests.bot.test_web import port, status
from tests.bot.watching.test_figures import figure

__all__ = ["port"]


def event(seq: int, at: float, kind: str, **data: object) -> Event:
    return Event("1", "train-1", seq, at, kind, data)


TOLD = [
    event(1, 10, "started"),
    event(2, 11, "phase", phase="loading"),
    event(3, 31, "phase", phase="training"),
    event(4, 40, "step", step=1),
    event(5, 91, "phase", phase="loading"),
    event(6, 92, "phase", phase="saving"),
    event(7, 95, "finished"),
]


def test_each_phase_lasts_until_the_next_one_and_the_last_until_the_last_word() -> None:
    assert dict(durations(TOLD)) == {"loading": 21, "training": 60, "saving": 3}
    assert dict(durations(TOLD[:3])) == {"loading": 20}, "what was cut off is not known"
    assert dict(durations([])) == {}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Room]:
    made = room(tmp_path)
    await made.starts()
    yield made
    made.context.database.close()


async def begun(here: Room, kind: str) -> Path:
    """An attempt of run 1 that is at work; its folder."""
    attempt = Attempt("1", kind, 1, here.context.settings.runs / "1")
    await here.context.database.write(engine.store.add_attempt, attempt, Handle("local", kind), START)
    attempt.folder.mkdir(parents=True)
    return attempt.folder


async def over(here: Room, kind: str) -> None:
    found = await here.context.database.read(engine.store.attempts, "1")
    tried = next(each for each in found if each.kind == kind)
    await here.context.database.write(engine.store.end_attempt, tried, START + 100)


async def test_answers_of_the_hub_are_counted_once_while_a_push_is_at_work_and_after(here: Room) -> None:
    def counted(status: int) -> float:
        return figure(f'threadtune_hub_answers_total{{child="push",status="{status}"}}')

    before = counted(200), counted(429)
    attempts = Attempts(here.context.database, here.context.settings.runs, lambda: START + 100)
    folder = await begun(here, "push")
    (folder / tally.NAME).write_text('{"200": 3, "429": 1}')
    for _ in range(2):
        await attempts.tick()
    (folder / tally.NAME).write_text('{"200": 5, "429": 1}')
    await over(here, "push")
    for _ in range(3):
        await attempts.tick()
    assert (counted(200) - before[0], counted(429) - before[1]) == (5, 1)


async def test_the_phases_of_an_attempt_are_measured_once_when_it_has_ended(here: Room) -> None:
    sample = 'threadtune_phase_seconds_sum{kind="train",phase="training"}'
    before = figure(sample)
    attempts = Attempts(here.context.database, here.context.settings.runs, lambda: START + 100)
    await begun(here, "train")
    await here.context.database.write(engine.store.add_events, "1", TOLD)
    await attempts.tick()
    assert figure(sample) == before
    await over(here, "train")
    for _ in range(2):
        await attempts.tick()
    assert figure(sample) == before + 60


async def test_an_attempt_whose_heartbeat_stopped_makes_the_bot_unready_and_is_named(here: Room, port: int) -> None:
    attempts = Attempts(here.context.database, here.context.settings.runs, lambda: START)
    health = Health()
    health.silent = lambda: attempts.silent
    folder = await begun(here, "train")
    beat = folder / "heartbeat.json"
    async with serve_web(Settings(_env_file=None, http_port=port), health):
        await attempts.tick()
        assert await status(port, "/readyz") == 200, "one that has not begun to beat is none that stopped"
        beat.write_text("{}")
        os.utime(beat, (START, START - SILENT_S - 1))
        await attempts.tick()
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["silent"] == ["1/train-1"]
        assert await status(port, "/healthz") == 200, "starting the bot anew mends no training"
        (folder / "exit.json").write_text("{}")
        await attempts.tick()
        assert await status(port, "/readyz") == 200


@pytest.fixture
async def slow_hub() -> AsyncIterator[str]:
    """A Hub that asks to slow down once, and then knows nobody."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=429 if len(asked) == 1 else 401)

    application = web.Application()
    application.add_routes([web.get("/{path:.*}", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_what_the_hub_answers_to_a_child_is_counted_its_429_too(slow_hub: str) -> None:
    def counted(status: int) -> float:
        return figure(f'threadtune_hub_answers_total{{child="rights",status="{status}"}}')

    before = counted(429), counted(401)
    environment = {"HF_ENDPOINT": slow_hub, "HF_TOKEN": "hf_nobody"}
    with pytest.raises(Refusal):
        await children.ask("rights", "team", timeout_s=120, environment=environment)
    assert (counted(429) - before[0], counted(401) - before[1]) == (1, 1)


def test_the_client_leaves_no_file_where_nobody_asked_for_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(tally.FILE_VARIABLE, raising=False)
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert tally.file() is None
    connect(None, "http://127.0.0.1:9")
    (tmp_path / "cut").write_text('{"200"')
    assert not tally.read(tmp_path / "cut") and not tally.read(tmp_path / "none")
