"""How Slack delivers: over the WebSocket that the app opened, or by signed HTTP requests; again where none answered."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web

from tests.twins.slack.workspace import Payload, Workspace

ACK_S = 3.0
TRIES = 4
WAIT_S = 60.0
KINDS = {"event_callback": "events_api", "slash": "slash_commands"}


@dataclass
class Delivery:
    """`told` holds each payload that was acknowledged, with the answer that the app gave in it."""

    at: Workspace
    http_url: str = ""
    ladder_s: float = 0.2
    """Slack's own ladder is at once, one minute, five minutes."""
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    answers: dict[str, asyncio.Future[Payload]] = field(default_factory=dict)
    told: list[tuple[Payload, Payload]] = field(default_factory=list)
    tries: list[tuple[str, int]] = field(default_factory=list)
    lost_acks: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def send(self, payload: Payload, then: Callable[[Payload], None] = lambda answer: None) -> None:
        """Deliver in the background; `then` gets the app's answer."""
        task = asyncio.ensure_future(self._deliver(payload, then))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _deliver(self, payload: Payload, then: Callable[[Payload], None]) -> None:
        """Events are tried four times. What a person does goes once; here the person waits until the bot is there."""
        tries = TRIES if payload.get("type") == "event_callback" else 1
        for number in range(tries):
            async with self.turn:
                await self._reachable()
            self.tries.append((payload.get("event_id") or payload.get("trigger_id", ""), number))
            answer = await (self._by_http if self.http_url else self._by_socket)(payload, number)
            if answer is not None and self.lost_acks:
                self.lost_acks -= 1
                answer = None
            if answer is not None:
                self.told.append((payload, answer))
                then(answer)
                return
            await asyncio.sleep(self.ladder_s * number)

    async def _reachable(self) -> None:
        """Wait until the bot is there; nobody tells when it is."""
        async with asyncio.timeout(WAIT_S):
            while not (self.sockets or (self.http_url and await self._is_listening())):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _is_listening(self) -> bool:
        url = urlsplit(self.http_url)
        try:
            _, writer = await asyncio.open_connection(url.hostname, url.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def _by_socket(self, payload: Payload, number: int) -> Payload | None:
        envelope = str(uuid.uuid4())
        waiting: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        self.answers[envelope] = waiting
        kind = "slash_commands" if "command" in payload else KINDS.get(payload["type"], "interactive")
        retry = {"retry_attempt": number, "retry_reason": "timeout" if number else ""} if kind == "events_api" else {}
        told = {
            "envelope_id": envelope,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": kind != "events_api",
        }
        try:
            await self.sockets[-1].send_json({**told, **retry})
            async with asyncio.timeout(ACK_S):
                return await waiting
        except (TimeoutError, ConnectionError, IndexError):
            return None

    async def _by_http(self, payload: Payload, number: int) -> Payload | None:
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": "http_timeout"} if number else {}
        body, kind = encoded(payload)
        try:
            return await self.request(body, kind, headers)
        except aiohttp.ClientError:
            return None

    async def request(self, body: str, kind: str, headers: dict[str, str], at: float | None = None) -> Payload | None:
        """One signed request; None where it was not answered with 200 in time."""
        stamp = str(int(at if at is not None else time.time()))
        base = f"v0:{stamp}:{body}".encode()
        signature = "v0=" + hmac.new(self.at.signing_secret.encode(), base, hashlib.sha256).hexdigest()
        signed = {"Content-Type": kind, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature, **headers}
        limit = aiohttp.ClientTimeout(total=ACK_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(self.http_url, data=body.encode(), headers=signed) as answer,
            ):
                text = await answer.text()
                return (json.loads(text) if text.startswith("{") else {}) if answer.status == 200 else None
        except TimeoutError:
            return None

    async def link(self, request: web.Request) -> web.WebSocketResponse:
        """The socket's other end, for as long as the app holds it."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0APP"}})
        self.sockets.append(socket)
        try:
            async for message in socket:
                if message.type == aiohttp.WSMsgType.TEXT and message.data.startswith("{"):
                    self._acknowledged(json.loads(message.data))
        finally:
            self.sockets.remove(socket)
        return socket

    def _acknowledged(self, answer: Payload) -> None:
        waiting = self.answers.pop(answer.get("envelope_id", ""), None)
        if waiting and not waiting.done():
            waiting.set_result(answer.get("payload") or {})

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Slack renews each connection every few hours."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "twin"}})
            await socket.close()

    async def close(self) -> None:
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for socket in list(self.sockets):
            await socket.close()


def encoded(payload: Payload) -> tuple[str, str]:
    """A request's body and its content type: events are JSON, slash commands a form, the others a form with JSON."""
    if payload.get("type") == "event_callback":
        return json.dumps(payload), "application/json"
    form = payload if "command" in payload else {"payload": json.dumps(payload)}
    return urlencode(form), "application/x-www-form-urlencoded"
