"""Discord on real HTTP and WebSocket: simcord's model of the platform behind a wire that an unmodified discord.py uses.

What simcord leaves out is added here: rules of archived and of second threads, nonces, sizes of uploads, addresses of
files that end, rate limits; and faults that a test plants.
"""

import asyncio
import datetime
import io
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import discord
import simcord
import simcord.backend.cdn
from aiohttp import BodyPartReader, WSMsgType, web
from simcord.backend import serializers
from simcord.backend.errors import BackendError
from simcord.gateway import FakeGateway
from simcord.http import router

from tests.twins.discord_rates import Rates, Refused

TOKEN = "twin.bot.token"
MAX_UPLOAD = 10 * 2**20
CONTENT_INTENT = 1 << 15
MESSAGE = re.compile(r"/channels/(\d+)/messages(?:/(\d+))?(/threads)?")


@dataclass
class Fault:
    """What happens to requests whose `METHOD /path` matches, `times` of them once `passes` went through: another
    answer, or, with `after`, the request is carried out and its answer is lost."""

    pattern: str
    status: int = 500
    body: Mapping[str, Any] = field(default_factory=lambda: {"message": "planted", "code": 0})
    times: int = 1
    passes: int = 0
    after: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Session:
    """One bot's session at the gateway: what it was sent, so that it can resume."""

    id: str
    gateway: FakeGateway
    socket: web.WebSocketResponse | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)


class Parsers(dict[str, Any]):
    """Stands where discord.py keeps its parsers: every event goes to `send`."""

    def __init__(self, send: Any) -> None:
        super().__init__()
        self.send = send

    def __missing__(self, event: str) -> Any:
        return lambda payload: self.send(event, payload)


class Wire:
    """`api` and `gateway` are what a bot needs; `seen` are the requests so far, as `METHOD /path`."""

    def __init__(self, has_content_intent: bool = True) -> None:
        self.env = simcord.Env(discord.Client(intents=discord.Intents(guilds=True)), check_errors=False)
        self.backend = self.env.backend
        self.backend.bot_user.name = "threadtune"
        self.has_content_intent = has_content_intent
        self.sessions: dict[str, Session] = {}
        self.faults: list[Fault] = []
        self.seen: list[str] = []
        self.bodies: list[tuple[str, Any]] = []
        self.nonces: dict[tuple[str, str], Any] = {}
        self.rates = Rates()
        self.latency_s = 0.0
        self.identifies = 0
        self.closed_doors = 0
        self.patience_s = 0.0
        self.ended_addresses: set[str] = set()
        self.sending: set[asyncio.Task[None]] = set()
        self.env.backend.clock.now = lambda: datetime.datetime.now(datetime.UTC)  # type: ignore[method-assign]  # the wire runs in real time
        self.env._settle_internal = self._settled  # type: ignore[method-assign]  # the bot is another process, or as good as one
        self.backend.subscribers.append(self._fan_out)

    async def _settled(self, **_: object) -> None:
        """Returns once the bot answered what people did, as their program waits for it: `patience_s` at most."""
        await asyncio.sleep(0)
        until = time.monotonic() + self.patience_s

        def is_answered() -> bool:
            return all(each.responded for each in self.backend.interactions.values())

        while time.monotonic() < until and not is_answered():  # noqa: ASYNC110  a platform tells nobody
            await asyncio.sleep(0.02)

    async def start(self) -> None:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/api/v10/{tail:.*}", self._rest)
        app.router.add_get("/attachments/{tail:.*}", self._cdn)
        app.router.add_get("/", self._websocket)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        host = self.runner.addresses[0]
        self.root = f"http://{host[0]}:{host[1]}"
        self.api, self.gateway = f"{self.root}/api/v10", f"ws://{host[0]}:{host[1]}/"
        simcord.backend.cdn.CDN_BASE = self.root

    async def stop(self) -> None:
        await self.kick()
        await self.runner.cleanup()

    # ---- HTTP

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        path = "/" + request.match_info["tail"]
        name = f"{request.method} {path}"
        self.seen.append(name)
        is_hook = path.startswith(("/interactions/", "/webhooks/"))
        if not is_hook and request.headers.get("Authorization") != f"Bot {TOKEN}":
            return answer({"message": "401: Unauthorized", "code": 0}, 401)
        fault = next((fault for fault in self.faults if fault.times and re.search(fault.pattern, name)), None)
        if fault and fault.passes:
            fault.passes -= 1
            fault = None
        elif fault:
            fault.times -= 1
            if not fault.after:
                return answer(dict(fault.body), fault.status, fault.headers)
        rated = self.rates.take(request.method, path)
        if isinstance(rated, Refused):
            return self._limited(rated)
        await asyncio.sleep(self.latency_s)
        body, files = await _read(request)
        self.bodies.append((name, body))
        try:
            out = self._carried_out(request, path, body, files)
        except BackendError as error:
            return answer(error.to_json(), error.status, rated)
        if fault:
            assert request.transport
            request.transport.abort()
        return web.Response(status=204, headers=rated) if out is None else answer(out, headers=rated)

    def _carried_out(self, request: web.Request, path: str, body: Any, files: list[Any]) -> Any:
        said = self._said_before(request.method, path, body)
        if said is not None:
            return said
        self._refuse(request.method, path, files)
        out = router.dispatch(
            self.backend, request.method, path, json=body, params=dict(request.query), files=files,
            message_content_access=self.has_content_intent,
        )  # fmt: skip
        if isinstance(body, dict) and body.get("enforce_nonce"):
            self.nonces[path, str(body["nonce"])] = out
        if path == "/oauth2/applications/@me" and isinstance(out, dict):
            out = {**out, "flags": 1 << 19 if self.has_content_intent else 0}
        return out

    def _said_before(self, method: str, path: str, body: Any) -> Any:
        """The message of the same nonce, of the last minutes."""
        is_nonce = method == "POST" and isinstance(body, dict) and body.get("enforce_nonce")
        return self.nonces.get((path, str(body["nonce"]))) if is_nonce else None

    def _refuse(self, method: str, path: str, files: list[Any]) -> None:
        """Raises BackendError where Discord refuses and simcord does not."""
        found = MESSAGE.fullmatch(path)
        if not found:
            return
        channel, message, threads = found.groups()
        where = self.backend.channels.get(int(channel))
        is_archived = where is not None and where.thread_metadata is not None and where.thread_metadata.archived
        if method == "PATCH" and is_archived:
            raise BackendError(400, 50083, "Thread is archived")
        if threads and int(message) in self.backend.channels:
            raise BackendError(400, 160004, "A thread has already been created for this message")
        if any(file.size > MAX_UPLOAD for file in files) or len(files) > 10:
            raise BackendError(413, 40005, "Request entity too large")

    def _limited(self, refused: Refused) -> web.Response:
        headers = {"Via": "1.1 twin", "Retry-After": str(int(refused.wait_s) + 1), "X-RateLimit-Scope": "user"}
        said = {"message": "You are being rate limited.", "retry_after": round(refused.wait_s, 3)}
        return answer({**said, "global": refused.bucket == "global"}, 429, headers)

    async def _cdn(self, request: web.Request) -> web.Response:
        self.seen.append(f"GET {request.path}")
        body = self.backend.cdn.get(self.root + request.path)
        has_ended = request.path in self.ended_addresses
        return web.Response(status=404) if body is None or has_ended else web.Response(body=body)

    # ---- gateway

    def _fan_out(self, event: str, payload: Mapping[str, Any]) -> None:
        for session in self.sessions.values():
            session.gateway.feed(event, payload)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        """`closed_doors` of them are turned away."""
        if self.closed_doors:
            self.closed_doors -= 1
            raise web.HTTPServiceUnavailable
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 41250}})
        session = None
        async for frame in socket:
            if frame.type != WSMsgType.TEXT:
                continue
            asked = json.loads(frame.data)
            match asked["op"]:
                case 1:
                    await socket.send_json({"op": 11})
                case 2:
                    session = await self._identify(socket, asked["d"])
                case 6:
                    session = await self._resume(socket, asked["d"]) or session
        if session and session.socket is socket:
            session.socket = None
        return socket

    async def _identify(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> Session | None:
        self.identifies += 1
        if asked["token"] != TOKEN or (asked["intents"] & CONTENT_INTENT and not self.has_content_intent):
            await socket.close(code=4004 if asked["token"] != TOKEN else 4014)
            return None
        session_id = secrets.token_hex(8)
        state = SimpleNamespace(intents=discord.Intents._from_value(asked["intents"]))
        state.parsers = Parsers(lambda event, payload: self._send(session_id, event, payload))
        session = self.sessions[session_id] = Session(session_id, FakeGateway(self.backend, state), socket)
        ready = {
            "v": 10,
            "user": dict(serializers.user_payload(self.backend.bot_user)),
            "session_id": session_id,
            "resume_gateway_url": self.gateway,
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in self.backend.guilds.values()],
            "application": {"id": str(self.backend.application_id), "flags": 0},
        }
        self._send(session_id, "READY", ready)
        for guild in self.backend.guilds.values():
            session.gateway.feed("GUILD_CREATE", serializers.guild_create_payload(self.backend, guild))
        return session

    async def _resume(self, socket: web.WebSocketResponse, asked: dict[str, Any]) -> Session | None:
        session = self.sessions.get(asked["session_id"])
        if session is None:
            await socket.send_json({"op": 9, "d": False})
            return None
        session.socket = socket
        for frame in session.sent[asked["seq"] or 0 :]:
            await socket.send_json(frame)
        self._send(session.id, "RESUMED", {})
        return session

    def _send(self, session_id: str, event: str, payload: Any) -> None:
        session = self.sessions[session_id]
        frame = {"op": 0, "t": event, "s": len(session.sent) + 1, "d": json.loads(json.dumps(payload, default=str))}
        session.sent.append(frame)
        if session.socket is not None and not session.socket.closed:
            task = asyncio.ensure_future(_send_json(session.socket, frame))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    @property
    def is_online(self) -> bool:
        return any(session.socket is not None for session in self.sessions.values())

    async def kick(self, *, forget: bool = True, code: int = 4000) -> None:
        """Cut every connection; without `forget`, its session can be resumed."""
        for session in list(self.sessions.values()):
            if forget:
                del self.sessions[session.id]
            if session.socket is not None:
                await session.socket.close(code=code)
                session.socket = None


async def _send_json(socket: web.WebSocketResponse, frame: dict[str, Any]) -> None:
    if not socket.closed:
        await socket.send_json(frame)


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """discord.py reads JSON only where the content type is this, and nothing after it."""
    response = web.Response(body=json.dumps(value, default=str).encode(), status=status, headers=headers)
    response.headers["Content-Type"] = "application/json"
    return response


async def _read(request: web.Request) -> tuple[Any, list[Any]]:
    """The body's JSON, and the files of a multipart body as simcord takes them."""
    if not request.content_type.startswith("multipart/"):
        text = await request.text()
        return (json.loads(text) if text else None), []
    body, files = None, []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        if part.name == "payload_json":
            body = json.loads(await part.text())
        else:
            data = bytes(await part.read())
            files.append(SimpleNamespace(fp=io.BytesIO(data), filename=part.filename, description=None, size=len(data)))
    return body, files
