"""A chat over a loopback socket: the platform in the test's process, its adapter in the bot's.

The platform posts whatever it is asked to, once for each call, as Slack does: that a message stands there once is the
work of the bot and its adapter, which looks a key up before it posts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from bot.chat import Command, Gone, Handler, Incoming, Message, MessageId, Person, Place, Press, TryLater, Upload
from engine import fault

Handling = Callable[[web.Request], Awaitable[web.StreamResponse]]
KINDS = {"Command": Command, "Press": Press, "Upload": Upload}


@dataclass
class Shown:
    """A message as it stands on the platform."""

    key: str
    place: str
    message: dict[str, Any]


@dataclass
class Platform:
    """What happened on the platform. `troubles` are taken one for each post: an HTTP status, or `lost`, which posts
    and then answers 500."""

    happened: list[dict[str, Any]] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    edits: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    troubles: list[int | str] = field(default_factory=list)
    is_cut: bool = False
    """Whether nothing reaches it, and nothing comes from it."""
    gone: set[str] = field(default_factory=set)
    """Places that were deleted."""
    refused: int = 0
    url: str = ""

    def does(self, person: Person, place: Place, what: Command | Press | Upload, times: int = 1) -> str:
        """Somebody does something; the platform delivers it `times` times. Returns the key of it."""
        key = f"loop/{len(self.happened) + 1}"
        entry = {"key": key, "place": place.id, "person": vars(person), "kind": type(what).__name__, "what": vars(what)}
        self.happened += [entry] * times
        return key

    async def start(self) -> web.AppRunner:
        application = web.Application(middlewares=[self._cut])
        routes: list[tuple[str, Callable[[web.Request], Any]]] = [
            ("/events", self._events),
            ("/find", self._find),
            ("/post", self._post),
            ("/edit", self._edit),
            ("/file", self._file),
        ]
        application.add_routes([web.post(path, handle) for path, handle in routes])
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = str(runner.addresses[0][1])
        return runner

    @web.middleware
    async def _cut(self, request: web.Request, handler: Handling) -> web.StreamResponse:
        self.refused += self.is_cut
        return web.json_response({}, status=503) if self.is_cut else await handler(request)

    async def _events(self, request: web.Request) -> web.Response:
        after = int((await request.json())["after"])
        for _ in range(20):
            if len(self.happened) > after:
                break
            await asyncio.sleep(0.05)
        return web.json_response(self.happened[after:])

    async def _find(self, request: web.Request) -> web.Response:
        key = (await request.json())["key"]
        return web.json_response([f"m{number}" for number, shown in enumerate(self.shown) if shown.key == key][:1])

    async def _post(self, request: web.Request) -> web.Response:
        values = await request.json()
        if values["place"] in self.gone:
            self.refused += 1
            return web.json_response({}, status=410)
        trouble = self.troubles.pop(0) if self.troubles else 0
        if isinstance(trouble, int) and trouble:
            return web.json_response({}, status=trouble)
        self.shown.append(Shown(values["message"]["key"], values["place"], values["message"]))
        return web.json_response({"id": f"m{len(self.shown) - 1}"}, status=500 if trouble else 200)

    async def _edit(self, request: web.Request) -> web.Response:
        values = await request.json()
        if self.shown[int(values["id"][1:])].place in self.gone:
            self.refused += 1
            return web.json_response({}, status=410)
        self.shown[int(values["id"][1:])].message = values["message"]
        self.edits += 1
        return web.json_response({})

    async def _file(self, request: web.Request) -> web.Response:
        content = self.files.get((await request.json())["id"])
        return web.Response(body=content) if content is not None else web.Response(status=404)


class LoopbackChat:
    """PORT Chat, over the platform at that port."""

    pace_s = 0.05

    def __init__(self, port: str) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.at = 0

    async def listen(self, handler: Handler, since: str) -> None:
        self.at = int(since or 0)
        while True:
            for entry in await self._events():
                what = KINDS[entry["kind"]](**entry["what"])
                await handler(Incoming(entry["key"], Place(entry["place"]), Person(**entry["person"]), what))
                self.at += 1

    async def _events(self) -> list[dict[str, Any]]:
        try:
            return list(await self._call("events", after=self.at))
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(0.1)
            return []

    def cursor(self) -> str:
        return str(self.at)

    async def post(self, place: Place, message: Message) -> MessageId:
        found = await self._call("find", key=message.key)
        if found:
            return MessageId(found[0])
        answer = await self._call("post", place=place.id, message=plain(message))
        return MessageId(answer["id"])

    async def edit(self, posted: MessageId, message: Message) -> None:
        await self._call("edit", id=posted, message=plain(message))

    async def download(self, upload: Upload, target: Path) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.base}/file", json={"id": upload.id}) as answer,
        ):
            if answer.status == 404:
                raise Gone(upload.name)
            content = await answer.read()
        target.write_bytes(content[: len(content) // 2])
        fault.point("download.half")
        target.write_bytes(content)
        fault.point("download.done")

    async def groups(self, person: Person) -> frozenset[str]:
        return frozenset({"everyone"})

    async def names(self, ids: Collection[str]) -> list[str]:
        return sorted(ids)

    def channel(self, place: Place) -> str:
        return place.id.partition("/")[0]

    async def is_private(self, place: Place) -> bool:
        return False

    async def _call(self, verb: str, **values: Any) -> Any:
        async with aiohttp.ClientSession() as session, session.post(f"{self.base}/{verb}", json=values) as answer:
            if answer.status == 429:
                raise TryLater(0.3)
            if answer.status == 410:
                raise Gone(verb)
            answer.raise_for_status()
            return await answer.json()


def plain(message: Message) -> Any:
    return msgspec.json.decode(msgspec.json.encode(message, enc_hook=str))
