"""What surrounds the bot in a simulation: a clock, a platform, children and a Hub, all driven by one seed.

The platform posts each time it is asked; the adapter looks a key up first. It delivers each thing that somebody did at
least once while the bot is there, a few times at most, and keeps a history that can be asked for.
"""

import asyncio
import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.pool import StaticPool

from bot import store as conversation
from bot.chat import Command, Handler, Incoming, Message, MessageId, Person, Place, TryLater, Upload
from engine import store
from engine.database import Database, _begin_immediate, _prepare_sqlite
from engine.executor import Handle
from engine.jobs import Attempt
from engine.lease import Lost
from tests.fakes.executor import Child, FakeExecutor

P = ParamSpec("P")
T = TypeVar("T")
ANN = Person("U1", "ann")
THREAD = Place("C1/1")


class Crash(BaseException):
    """The end of a process, anywhere."""


@dataclass(frozen=True)
class Mechanisms:
    """What keeps things from happening twice or never; a test switches one off."""

    dedupe: bool = True
    lease: bool = True
    keyed_outbox: bool = True
    lookup: bool = True
    parent_commit: bool = True
    backfill: bool = True


@dataclass
class World:
    """Outlives every process of the bot. `is_calm` ends the faults; `now` in seconds."""

    rng: random.Random
    has: Mechanisms
    now: float = 1000.0
    is_calm: bool = False
    posts: list[tuple[str, str]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    happened: list[Incoming] = field(default_factory=list)
    tries: dict[str, list[float]] = field(default_factory=dict)
    commits: list[tuple[str, str]] = field(default_factory=list)
    owner: int = 0
    minutes: tuple[int, ...] = ()
    """Minutes of the hour, within the storm, at which something is scheduled."""

    def happens(self, share: float) -> bool:
        return not self.is_calm and self.rng.random() < share

    def may_crash(self, share: float = 0.004) -> None:
        if self.happens(share):
            raise Crash

    def does(self, words: str) -> None:
        incoming = Incoming(f"sim/{len(self.happened) + 1}", THREAD, ANN, Command(words))
        self.happened.append(incoming)
        # The platform tries again a minute and five minutes later, unless the first try was acknowledged.
        self.tries[incoming.key] = [self.now, self.now + 60, self.now + 300]

    def due(self) -> Iterator[Incoming]:
        for incoming in list(self.happened):
            while (tries := self.tries[incoming.key]) and tries[0] <= self.now:
                tries.pop(0)
                yield incoming

    def acknowledge(self, incoming: Incoming) -> None:
        """No more tries, but that now and then the platform did not hear it."""
        if not self.happens(0.1):
            self.tries[incoming.key] = []


class SimDatabase(Database):
    """The real database code on this thread, in memory; a process may die before or after any commit."""

    def __init__(self, world: World, engine: sa.Engine, number: int) -> None:
        self.world = world
        self._engine = engine
        self.number = number
        self.fence = self.look

    def look(self, _: Connection) -> None:
        if self.world.has.lease and self.world.owner != self.number:
            raise Lost

    async def write(self, step: Any, *args: Any, **kwargs: Any) -> Any:
        self.world.may_crash()
        await asyncio.sleep(0)
        with self._engine.begin() as connection:
            self.look(connection)
            value = step(connection, *args, **kwargs)
        self.world.may_crash()
        await asyncio.sleep(0)
        return value


def memory() -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    with engine.begin() as db:
        store.metadata.create_all(db)
        conversation.metadata.create_all(db)
    return engine


class SimChat:
    """PORT Chat; one a process."""

    pace_s = 1.0

    def __init__(self, world: World) -> None:
        self.world = world
        self.at = 0
        self.handed: set[str] = set()

    def hand_over(self, incoming: Incoming) -> None:
        """The cursor passes what was handed over, up to the first thing that was not."""
        self.handed.add(incoming.key)
        while self.at < len(self.world.happened) and self.world.happened[self.at].key in self.handed:
            self.at += 1

    async def listen(self, handler: Handler, since: str) -> None:
        """The simulation delivers by itself."""

    def cursor(self) -> str:
        return str(self.at)

    async def post(self, place: Place, message: Message) -> MessageId:
        world = self.world
        key = message.key if world.has.keyed_outbox else f"{message.key}#{len(world.posts)}"
        keys = [known for known, _ in world.posts]
        found = keys.index(key) if world.has.lookup and key in keys else None
        world.may_crash()
        await asyncio.sleep(0)
        if found is not None:
            return MessageId(str(found))
        self._trouble()
        world.posts.append((key, place.id))
        world.messages.append(message)
        posted = len(world.posts) - 1
        await asyncio.sleep(0)
        world.may_crash(0.02)
        if world.happens(0.03):
            raise ConnectionError("the answer was lost")
        return MessageId(str(posted))

    async def edit(self, posted: MessageId, message: Message) -> None:
        self._trouble()
        self.world.messages[int(posted)] = message

    async def download(self, upload: Upload, target: Path) -> None:
        raise NotImplementedError

    async def groups(self, person: Person) -> frozenset[str]:
        return frozenset()

    async def names(self, ids: Collection[str]) -> list[str]:
        return sorted(ids)

    def channel(self, place: Place) -> str:
        return place.id.partition("/")[0]

    async def is_private(self, place: Place) -> bool:
        return False

    def _trouble(self) -> None:
        if self.world.happens(0.05):
            raise TryLater(5.0)
        if self.world.happens(0.05):
            raise ConnectionError("no route")


class Children(FakeExecutor):
    """Children that live, die, and go on unseen; those that push read the head before they commit."""

    def __init__(self, world: World) -> None:
        super().__init__("sim", slots=2)
        self.world = world
        self.heads: dict[Handle, int | None] = {}
        self.unseen: list[tuple[Handle, Child, float]] = []
        """Pushes that nobody sees any more, and when they come to their commit."""

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        self.world.may_crash()
        await super().submit(attempt, handle)

    def live(self) -> None:
        """One step of every child."""
        for handle, child, at in list(self.unseen):
            if at <= self.world.now:
                self.unseen.remove((handle, child, at))
                self._commit(handle, child)
        for handle, child in list(self.children.items()):
            if child.is_running:
                self._step(handle, child)

    def _step(self, handle: Handle, child: Child) -> None:
        world, kind = self.world, child.attempt.kind
        if kind == "push" and handle not in self.heads:
            self.heads[handle] = self._head(child)
        elif world.happens(0.2 if kind == "push" else 0.04):
            child.lose()
            if kind == "push":
                self.unseen.append((handle, child, self.world.now + 200 * self.world.rng.random()))
        elif world.happens(0.06):
            child.end(-9)
        elif len(child.events) < 2:
            child.say("started", steps=3) if not child.events else child.say("step", step=1, steps=3, loss=1.0)
        else:
            self._end(handle, child)

    def _end(self, handle: Handle, child: Child) -> None:
        if child.attempt.kind == "push":
            self._commit(handle, child)
            child.say("finished", repo="team/name", revision="abc")
        else:
            child.say("finished")
        child.end()

    def _head(self, child: Child) -> int:
        return sum(run == child.attempt.run for _, run in self.world.commits)

    def _commit(self, handle: Handle, child: Child) -> None:
        """Nothing where the head has the commit of this run, or is not the one that was read."""
        seen, now = self.heads[handle], self._head(child)
        is_there = now > 0 if self.world.has.parent_commit else bool(seen)
        if not is_there:
            self.world.commits.append(("team/name", child.attempt.run))
