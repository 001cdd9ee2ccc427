"""The twin's server: the Web API, the files, and the end of Socket Mode's WebSocket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from tests.twins.slack.delivery import Delivery
from tests.twins.slack.limits import check, pings
from tests.twins.slack.methods import METHODS, need
from tests.twins.slack.rates import Rates
from tests.twins.slack.workspace import BOT, SlackError, Workspace

SETTLE_S = 0.02
"""For connections that were on their way when one side left: they are made, and closed, before the loop ends."""


class Twin:
    def __init__(self) -> None:
        self.at = Workspace()
        self.rates = Rates()
        self.delivery = Delivery(self.at)

    async def api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        form = {name: str(value) for name, value in (await request.post()).items()}
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or form.pop("token", "")
        self.at.calls.append((method, form))
        wait = self.rates.wait(method, form.get("channel", ""))
        fault = self.at.faults[method].pop(0) if self.at.faults[method] else ""
        if wait or fault.startswith("429"):
            self.at.refused += [method] if not fault else []
            return web.json_response(
                {"ok": False, "error": "ratelimited"}, status=429, headers={"Retry-After": str(wait or fault[4:] or 1)}
            )
        if fault == "500":
            return web.Response(status=500, text="upstream failed")
        try:
            answer = self._answer(method, token, form, "" if fault == "lost" else fault)
        except SlackError as error:
            return web.json_response({"ok": False, "error": error.error, **error.more})
        if fault == "lost" and request.transport:
            request.transport.close()
        scopes = {"x-oauth-scopes": ",".join(sorted(self.at.scopes))}
        return web.json_response({"ok": True, **answer}, headers=scopes)

    def _answer(self, method: str, token: str, form: dict[str, str], fault: str) -> dict[str, Any]:
        if fault:
            raise SlackError(fault)
        if method == "apps.connections.open":
            if token != self.at.app_token:
                raise SlackError("invalid_auth")
            return {"url": self.at.base.replace("http", "ws") + "/link"}
        if token != self.at.bot_token:
            raise SlackError("invalid_auth")
        if method not in METHODS:
            raise SlackError("unknown_method")
        scope, answer = METHODS[method]
        need(self.at, scope)
        return answer(self.at, form)

    async def file(self, request: web.Request) -> web.Response:
        """The bytes; without the scope, Slack's sign-in page with status 200."""
        file = self.at.files.get(request.match_info["id"])
        if file is None:
            raise web.HTTPNotFound
        allowed = (
            request.headers.get("Authorization") == f"Bearer {self.at.bot_token}" and "files:read" in self.at.scopes
        )
        if file.page or not allowed:
            return web.Response(
                text=file.page or "<!DOCTYPE html><html>Sign in to Slack</html>", content_type="text/html"
            )
        return web.Response(body=file.content, content_type="application/octet-stream")

    async def respond(self, request: web.Request) -> web.Response:
        """A response_url. Only what one person sees is played; blocks and limits are as everywhere."""
        said = await request.json()
        check(said.get("blocks", []))
        for who in pings(said.get("text", ""), said.get("blocks", [])):
            self.at.pings[who] += 1
        try:
            self.at.whisper(request.match_info["name"], said)
        except SlackError as error:
            return web.json_response({"ok": False, "error": error.error}, status=404)
        return web.Response(text="ok")

    async def upload(self, request: web.Request) -> web.Response:
        self.at.uploads[request.match_info["id"]]["content"] = await request.read()
        return web.Response(text="OK")


@contextlib.asynccontextmanager
async def twin() -> AsyncIterator[Twin]:
    """A workspace that serves on loopback while the block runs."""
    there = Twin()
    application = web.Application(client_max_size=1 << 28)
    application.add_routes(
        [
            web.post("/api/{method}", there.api),
            web.get("/api/{method}", there.api),
            web.get("/link", there.delivery.link),
            web.get("/files/{id}/{name}", there.file),
            web.post("/response/{name}", there.respond),
            web.post("/upload/{id}", there.upload),
        ]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    there.at.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield there
    finally:
        await there.delivery.close()
        await asyncio.sleep(SETTLE_S)
        await runner.cleanup()
        await asyncio.sleep(SETTLE_S)


__all__ = ["BOT", "Twin", "twin"]
