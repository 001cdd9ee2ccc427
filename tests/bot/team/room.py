"""The conversation without a scheduler or a Hub: what is said is answered at once, and runs are what a test makes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

import engine.store
from bot import store
from bot.chat import Command, Incoming, Message, Person, Place, Press
from bot.migrate import upgrade
from bot.settings import Settings
from bot.store import Draft
from bot.talk.answer import answer
from bot.talk.commands import Plan
from bot.talk.context import Context
from bot.talk.runs import progress
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source
from tests.fakes.chat import FakeChat, Server

ANN, BOB, DAN = Person("U1", "ann"), Person("U2", "bob"), Person("U5", "dan")
EVE = Person("U3", "eve", is_guest=True)
THREAD, PRIVATE, TEAM = Place("C1/1"), Place("G1/1"), Place("C0")
START = 1_764_000_000.0
"""A Monday, 16:00 UTC."""


@dataclass
class Room:
    context: Context
    server: Server
    now: list[float] = field(default_factory=lambda: [START])
    count: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    async def does(self, person: Person, what: Command | Press, place: Place = THREAD) -> Message | None:
        """Do it; the answer, if there is one of its own."""
        incoming = Incoming(f"fake/{next(self.count)}", place, person, what)
        await answer(self.context, incoming)
        return await self.context.database.read(store.said, f"{incoming.key}/answer")

    async def says(self, words: str, person: Person = ANN, place: Place = THREAD) -> Message:
        answered = await self.does(person, Command(words), place)
        assert answered, words
        return answered

    async def draft(self, hours: float = 0.0, place: Place = THREAD) -> str:
        """A draft that awaits its click; its id."""
        key = f"d{next(self.count)}"
        spec = JobSpec("sft", Model("org/base"), Source("a.csv", "0" * 64, {}), requester=ANN.id, group=place.id)
        draft = Draft(key, f"draft/{key}", Plan("sft"), spec, hours)
        await self.context.database.write(store.add_draft, place, draft, self.now[0])
        await self.context.say(place, Message(f"draft/{key}", "Start it?", title="sft: ready to start"))
        return key

    async def starts(self, person: Person = ANN, hours: float = 0.0, place: Place = THREAD) -> Message | None:
        return await self.does(person, Press(f"start:{await self.draft(hours, place)}"), place)

    async def run(self, number: int = 1) -> Run:
        found = await self.context.database.read(engine.store.run, str(number))
        assert found
        return found

    async def change(self, run: Run) -> None:
        await self.context.database.write(engine.store.save_run, run)

    async def tells(self) -> None:
        await progress.tick(self.context)

    async def said(self, key: str) -> Message | None:
        return await self.context.database.read(store.said, key)

    async def keys(self, place: Place) -> list[str]:
        """The keys of all that was said in a place."""
        query = sa.select(store.outbox.c.key).where(store.outbox.c.place == place.id).order_by(store.outbox.c.seq)
        return await self.context.database.read(lambda db: list(db.execute(query).scalars()))


def room(folder: Path, **settings: object) -> Room:
    """dan is an admin, and the thread `G1/1` is a private one."""
    update = {"admins": DAN.id, "team_channel": TEAM.id, **settings}
    chosen = Settings(_env_file=None, data=folder).model_copy(update=update)
    folder.mkdir(parents=True, exist_ok=True)
    upgrade(chosen.database)
    server = Server(private={PRIVATE.id}, names={each.id: each.name for each in (ANN, BOB, DAN, EVE)})
    now = [START]
    context = Context(chosen, Database(chosen.database), FakeChat(server), clock=lambda: now[0])
    return Room(context, server, now)
