"""A chat in memory. Its server side outlives the adapter object, as a platform outlives a bot's restart."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from bot.chat import Command, Gone, Handler, Incoming, Message, MessageId, Person, Place, Press, Upload
from engine.refusal import Refusal


@dataclass
class Server:
    """What the platform knows: every message, what people did, which files lie there, and how it misbehaves."""

    messages: dict[MessageId, tuple[Place, Message]] = field(default_factory=dict)
    keys: dict[str, MessageId] = field(default_factory=dict)
    posts: int = 0
    edits: list[tuple[MessageId, Message]] = field(default_factory=list)
    happened: list[Incoming] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    private: set[str] = field(default_factory=set)
    """Ids of places that only some can read."""
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    """What people are called, by id."""
    failures: list[Exception] = field(default_factory=list)
    lost_answers: int = 0
    unwanted: set[str] = field(default_factory=set)
    """Keys of messages that the platform never takes."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def does(self, person: Person, place: Place, what: Command | Press | Upload) -> Incoming:
        incoming = Incoming(f"fake/{len(self.happened) + 1}", place, person, what)
        self.happened.append(incoming)
        self.news.set()
        return incoming

    def seen_by(self, person: Person) -> list[Message]:
        return [message for _, message in self.messages.values() if message.only_for in (None, person)]


class FakeChat:
    pace_s = 0.0

    def __init__(self, server: Server) -> None:
        self.server = server
        self.at = 0

    async def listen(self, handler: Handler, since: str) -> None:
        self.at = int(since or 0)
        while True:
            while self.at < len(self.server.happened):
                await self._deliver(handler, self.server.happened[self.at])
            self.server.news.clear()
            await self.server.news.wait()

    async def _deliver(self, handler: Handler, incoming: Incoming) -> None:
        refusal = await handler(incoming)
        self.server.acknowledged.append(incoming.key)
        if refusal:
            self.server.refusals.append(refusal)
        self.at += 1

    def cursor(self) -> str:
        return str(self.at)

    async def post(self, place: Place, message: Message) -> MessageId:
        self._fail()
        if place.id in self.server.closed:
            raise Gone(place.id)
        if message.key in self.server.unwanted:
            raise ValueError("invalid_blocks")
        if message.key not in self.server.keys:
            self.server.posts += 1
            message_id = MessageId(f"m{self.server.posts}")
            self.server.keys[message.key] = message_id
            self.server.messages[message_id] = (place, message)
        if self.server.lost_answers:
            self.server.lost_answers -= 1
            raise ConnectionError("the answer was lost")
        return self.server.keys[message.key]

    async def edit(self, posted: MessageId, message: Message) -> None:
        self._fail()
        if posted not in self.server.messages:
            raise Gone(posted)
        place, _ = self.server.messages[posted]
        self.server.messages[posted] = (place, message)
        self.server.edits.append((posted, message))

    async def download(self, upload: Upload, target: Path) -> None:
        self._fail()
        if upload.id not in self.server.files:
            raise Gone(upload.name)
        target.write_bytes(self.server.files[upload.id])

    async def groups(self, person: Person) -> frozenset[str]:
        return self.server.groups.get(person.id, frozenset()) | {"everyone"}

    async def names(self, ids: Collection[str]) -> list[str]:
        return sorted(self.server.names.get(each, each) for each in ids)

    def channel(self, place: Place) -> str:
        return place.id.partition("/")[0]

    async def is_private(self, place: Place) -> bool:
        return place.id in self.server.private

    def _fail(self) -> None:
        if self.server.failures:
            raise self.server.failures.pop(0)
