"""The console as a chat platform: the port on one side, a person's hands (`drop`, `say`, `press`) on the other."""

import asyncio
import getpass
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapters.chat.console.journal import Journal
from adapters.chat.console.screen import Screen
from bot.chat import (
    Command,
    Denied,
    File,
    Gone,
    Handler,
    Incoming,
    Message,
    MessageId,
    Person,
    Place,
    Press,
    Upload,
)
from engine.refusal import Refusal

CHANNELS = ("general", "team")
KINDS = {"Command": Command, "Press": Press, "Upload": Upload}


@dataclass(frozen=True)
class Posted:
    """A message as it now stands, and how often it was edited."""

    id: MessageId
    place: Place
    message: Message
    edits: int = 0


class Console:
    """Channels are `general` and `team`; a thread is `general/<number>`; `@name` is a person's direct messages."""

    def __init__(self, folder: Path, screen: Screen, name: str = "") -> None:
        self.folder = folder
        self.screen = screen
        self.pace_s = screen.pace_s
        self.me = Person(name or getpass.getuser(), name or getpass.getuser())
        self.typed = Journal(folder / "typed.jsonl")
        self.keys = Journal(folder / "posted.jsonl")
        self.seq = len(self.typed.read())
        self.handed_over = 0
        self.ids = {entry["key"]: MessageId(entry["id"]) for entry in self.keys.read()}
        self.places = {entry["id"]: Place(entry["place"]) for entry in self.keys.read()}
        self.posted: dict[MessageId, Posted] = {}
        self.queue: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self.changed = asyncio.Condition()

    # ---- the port

    async def listen(self, handler: Handler, since: str) -> None:
        self.handed_over = int(since or 0)
        for entry in self.typed.read()[self.handed_over : self.seq - self.queue.qsize()]:
            await self._hand_over(handler, _incoming(entry))
        while incoming := await self.queue.get():
            await self._hand_over(handler, incoming)

    async def _hand_over(self, handler: Handler, incoming: Incoming) -> None:
        refusal = await handler(incoming)
        self.handed_over = int(incoming.key.rpartition("/")[2])
        if refusal:
            await self.post(incoming.place, Message(f"{incoming.key}/refusal", _at_field(refusal)))

    def cursor(self) -> str:
        return str(self.handed_over)

    async def post(self, place: Place, message: Message) -> MessageId:
        known = self.ids.get(message.key)
        if known:
            return known
        if place.id.partition("/")[0] not in CHANNELS and not place.id.startswith("@"):
            raise Gone(place.id)
        message_id = MessageId(f"m{len(self.ids) + 1}")
        self.keys.append({"key": message.key, "id": message_id, "place": place.id})
        self.ids[message.key], self.places[message_id] = message_id, place
        await self._show(Posted(message_id, place, self._with_files(message)))
        return message_id

    async def edit(self, posted: MessageId, message: Message) -> None:
        if posted not in self.places:
            raise Gone(posted)
        old = self.posted.get(posted, Posted(posted, self.places[posted], message))
        await self._show(replace(old, message=self._with_files(message), edits=old.edits + 1))

    async def download(self, upload: Upload, target: Path) -> None:
        try:
            await asyncio.to_thread(shutil.copyfile, upload.id, target)
        except FileNotFoundError:
            raise Gone(upload.name) from None
        except (PermissionError, IsADirectoryError):
            raise Denied("read") from None

    async def groups(self, person: Person) -> frozenset[str]:
        return frozenset({"everyone"})

    async def names(self, ids: Collection[str]) -> list[str]:
        return sorted(ids)

    def channel(self, place: Place) -> str:
        return place.id.partition("/")[0]

    async def is_private(self, place: Place) -> bool:
        return place.id.startswith("@")

    async def _show(self, posted: Posted) -> None:
        self.posted[posted.id] = posted
        self.screen.show(posted.id, posted.place.id, posted.message, posted.edits)
        async with self.changed:
            self.changed.notify_all()

    def _with_files(self, message: Message) -> Message:
        """A copy of each attached file, where the person can open it."""
        return replace(message, files=tuple(File(file.name, self._kept(file)) for file in message.files))

    def _kept(self, file: File) -> Path:
        target = self.folder / "files" / Path(file.name).name
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.path.exists():
            shutil.copyfile(file.path, target)
        return target

    # ---- a person's hands

    def say(self, place: Place, words: str) -> Incoming:
        return self._type(place, Command(words))

    def press(self, place: Place, action: str, values: Mapping[str, str] | None = None) -> Incoming:
        return self._type(place, Press(action, dict(values or {})))

    def drop(self, place: Place, path: Path) -> Incoming:
        """Attach a file. Raises Refusal if there is none."""
        if not path.is_file():
            raise Refusal(f"There is no file {path}.")
        return self._type(place, Upload(str(path.resolve()), path.name, path.stat().st_size))

    def leave(self) -> None:
        """End `listen`, once everything typed so far was handed over."""
        self.queue.put_nowait(None)

    def _type(self, place: Place, what: Command | Press | Upload) -> Incoming:
        self.seq += 1
        incoming = Incoming(f"console/{self.seq}", place, self.me, what)
        self.typed.append(_entry(incoming))
        self.queue.put_nowait(incoming)
        return incoming

    async def until(self, is_it: Callable[[Posted], bool], timeout_s: float) -> Posted:
        """The first message for which `is_it` holds, now or once it comes. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self.changed:
            while not (found := next(filter(is_it, self.posted.values()), None)):
                await self.changed.wait()
        return found


def _at_field(refusal: Refusal) -> str:
    return f"{refusal.field}: {refusal.text}" if refusal.field else refusal.text


def _entry(incoming: Incoming) -> dict[str, Any]:
    kind = type(incoming.what).__name__
    return {
        "key": incoming.key,
        "place": incoming.place.id,
        "person": vars(incoming.person),
        "kind": kind,
        "what": vars(incoming.what),
    }


def _incoming(entry: dict[str, Any]) -> Incoming:
    what = KINDS[entry["kind"]](**entry["what"])
    return Incoming(entry["key"], Place(entry["place"]), Person(**entry["person"]), what)
