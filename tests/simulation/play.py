"""One seed: four commands, two bots that crash, pause and take over, a network that loses answers; then calm."""

import asyncio
import contextlib
import math
import random
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from bot import store as conversation
from bot.chat import Incoming
from bot.outbox import Outbox
from bot.settings import Settings
from bot.store import Schedule
from bot.talk.answer import answer
from bot.talk.context import Context
from bot.talk.runs import progress, schedules
from engine import store
from engine.jobs import JobSpec, Model, Run, Source, Status, Target
from engine.lease import Lost
from engine.plan.calendar import When, next_after
from engine.work.scheduler import Scheduler
from tests.faults.invariants import History, Said, broken
from tests.simulation.world import ANN, THREAD, Children, Crash, Mechanisms, SimChat, SimDatabase, World, memory

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "a" * 64, {"text": "text"}), target=Target("team/name"))
COMMANDS = 4
STORM, CALM = 45, 80
SURELY = 20
"""Turns of calm within which the platform has tried everything again."""
STEP_S = 20.0


class Inline(ThreadPoolExecutor):
    """Threads would make a seed play differently each time."""

    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Instance:
    """A process of the bot: the real scheduler, outbox, progress and answers over the world."""

    def __init__(self, world: World, number: int, engine: sa.Engine, children: Children, folder: Path) -> None:
        self.world = world
        self.number = number
        self.database = SimDatabase(world, engine, number)
        self.chat = chat = SimChat(world)
        self.context = Context(Settings(_env_file=None, data=folder, max_queued=0), self.database, chat, self._now)
        self.outbox = Outbox(self.database, chat, self._now)
        self.scheduler = Scheduler(self.database, children, children, folder / "runs", lambda _run, _folder: None)
        self.has_begun = False
        self.was_away = False

    def _now(self) -> float:
        return self.world.now

    async def handle(self, incoming: Incoming) -> None:
        """As the bot's own: stored, acknowledged, answered."""
        key = incoming.key if self.world.has.dedupe else f"{incoming.key}#{self.world.rng.random()}"
        stored = replace(incoming, key=key)
        is_new = await self.database.write(conversation.receive, stored, self.world.now)
        self.world.acknowledge(incoming)
        self.chat.hand_over(incoming)
        if is_new:
            await self._answer(stored)

    async def _answer(self, incoming: Incoming) -> None:
        await answer(self.context, incoming)
        await self.database.write(conversation.answered, incoming.key, self.world.now)

    async def begin(self) -> None:
        """After a start: what was left unanswered, and what happened meanwhile."""
        self.has_begun = True
        for incoming in await self.database.read(conversation.unanswered):
            await self._answer(incoming)
        since = int(await self.database.read(conversation.cursor, "sim") or 0)
        self.chat.at = since if self.world.has.backfill else len(self.world.happened)
        await self.catch_up()

    async def catch_up(self) -> None:
        """The platform's history since the cursor, after a start and after a lost connection."""
        self.was_away = False
        for incoming in self.world.happened[self.chat.at :] if self.world.has.backfill else []:
            await self.handle(incoming)

    async def turn(self, arrived: list[Incoming]) -> None:
        """What its ticks do within a few seconds."""
        if not self.has_begun:
            await self.begin()
        elif self.was_away:
            await self.catch_up()
        for incoming in arrived:
            await self.handle(incoming)
        await self.database.write(conversation.save_cursor, "sim", self.chat.cursor())
        await asyncio.gather(self.scheduler.tick(self.world.now), self.outbox.tick(), progress.tick(self.context))
        if self.world.minutes:
            await schedules.tick(self.context)


async def play(seed: int, has: Mechanisms, minutes: tuple[int, ...] = ()) -> list[str]:
    """The invariants that this seed breaks. Past each of those minutes of the hour a schedule starts a run."""
    asyncio.get_running_loop().set_default_executor(Inline(1))
    world = World(random.Random(seed), has, minutes=minutes)
    engine = memory()
    children = Children(world)
    with tempfile.TemporaryDirectory() as folder:
        with engine.begin() as db:
            store.add_run(db, Run("", SPEC, status=Status.failed, reason="Long ago."))
            conversation.watch(db, "1", THREAD, ANN)
            conversation.told(db, "1")
            for minute in minutes:
                _schedule(db, minute, world.now)
        await _storm_and_calm(world, engine, children, Path(folder))
    found = broken(history(world, engine))
    engine.dispose()
    return found


def _schedule(db: sa.Connection, minute: int, now: float) -> None:
    when = When(minute, tuple(range(24)), "UTC")
    next_at = next_after(when, now)
    assert next_at is not None
    conversation.add_schedule(db, Schedule(f"at {minute}", "1", THREAD, ANN, False, when, next_at, "active"))


async def _storm_and_calm(world: World, engine: sa.Engine, children: Children, folder: Path) -> None:
    alive: dict[int, Instance] = {}
    down: dict[int, int] = {0: 0, 1: world.rng.randrange(STORM)}
    paused: dict[int, int] = {}
    asked = sorted(world.rng.randrange(STORM) for _ in range(COMMANDS))
    numbers = 0
    for turn in range(STORM + CALM):
        world.now += STEP_S * world.rng.random() * 2
        world.is_calm = turn >= STORM
        for _ in range(asked.count(turn)):
            world.does("retry 1")
        for place in [place for place, until in down.items() if until <= turn]:
            del down[place]
            numbers += 1
            alive[place] = Instance(world, numbers, engine, children, folder)
        for place in alive:
            if place not in paused and world.happens(0.03):
                paused[place] = turn + world.rng.randrange(2, 12)
        awake = [place for place in alive if paused.get(place, turn) <= turn]
        for place in awake:
            alive[place].was_away |= paused.pop(place, None) is not None
        _elect(world, alive, awake)
        # One that stands by does nothing; one that was replaced does not know it yet.
        actors = [p for p in awake if not world.has.lease or alive[p].has_begun or alive[p].number == world.owner]
        arrived = list(world.due()) if actors else _missed(world)
        receiver = world.rng.choice(actors) if actors else None
        turns = [_survive(alive[place], arrived if place == receiver else []) for place in actors]
        for place, survived in zip(actors, await asyncio.gather(*turns), strict=True):
            if not survived:
                del alive[place]
                down[place] = turn + world.rng.randrange(1, 25)
        children.live()
        if world.is_calm:
            _wake(engine)
        if turn > STORM + SURELY and _rests(engine):
            return


def _missed(world: World) -> list[Incoming]:
    """Nobody is there: the platform's tries go by."""
    for _ in world.due():
        pass
    return []


def _elect(world: World, alive: dict[int, Instance], awake: list[int]) -> None:
    """A paused or dead owner is replaced by one that stands by; it finds itself fenced, and only a restart helps it."""
    fresh = [alive[place].number for place in awake if not alive[place].has_begun]
    if fresh and world.owner not in [alive[place].number for place in awake]:
        world.owner = fresh[0]


async def _survive(instance: Instance, arrived: list[Incoming]) -> bool:
    try:
        await instance.turn(arrived)
    except (Crash, Lost):
        return False
    return True


def _rests(engine: sa.Engine) -> bool:
    """Whether nothing is left to be done or said."""
    with engine.begin() as db:
        is_told = not conversation.watched(db) and not conversation.unanswered(db)
        return is_told and not conversation.unsent(db, math.inf) and not store.open_runs(db)


def _wake(engine: sa.Engine) -> None:
    """Somebody has every model pushed that waits for it."""
    with engine.begin() as db:
        for run in store.open_runs(db):
            store.wake(db, run.id)


def history(world: World, engine: sa.Engine) -> History:
    with engine.begin() as db:
        runs = [run for run in store.recent_runs(db, 100) if run.id != "1"]
    said = [
        Said(message.key, place, message.title, msgspec.json.encode(message, enc_hook=str).decode())
        for (_, place), message in zip(world.posts, world.messages, strict=True)
    ]
    starts = len(world.happened) + len(world.minutes)
    return History(starts, runs, {run.id: THREAD.id for run in runs}, said, world.commits)


@contextlib.contextmanager
def quiet() -> Any:
    """The bot logs each fault; nobody reads that here."""
    with structlog.testing.capture_logs():
        yield


def bad_seeds(seeds: range, has: Mechanisms, most: int = 1, minutes: tuple[int, ...] = ()) -> dict[int, list[str]]:
    """The first seeds that break something, with what they break."""
    found: dict[int, list[str]] = {}
    with quiet():
        for seed in seeds:
            wrong = asyncio.run(play(seed, has, minutes))
            if wrong:
                found[seed] = wrong
            if len(found) >= most:
                break
    return found
