"""Socket Mode before the independent Slack, which has none: its Web API and its files as they are, its events, and what
people press, over the twin's WebSocket."""

import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from tests.twins.slack.delivery import Delivery
from tests.twins.slack.workspace import Workspace

PASSED_ON = ("Authorization", "Content-Type")


class Bridge:
    """`base` is where the app finds Slack; the peer sends its events to the same port."""

    def __init__(self, peer: str, base: str) -> None:
        self.peer, self.base = peer, base
        self.delivery = Delivery(Workspace(base=base))

    async def opened(self, request: web.Request) -> web.Response:
        is_known = request.headers.get("Authorization") == f"Bearer {self.delivery.at.app_token}"
        url = self.base.replace("http", "ws") + "/link"
        return web.json_response({"ok": True, "url": url} if is_known else {"ok": False, "error": "invalid_auth"})

    async def event(self, request: web.Request) -> web.Response:
        self.delivery.send(await request.json())
        return web.Response()

    async def pass_on(self, request: web.Request) -> web.Response:
        """To the peer and back; the addresses in its answers lead here too."""
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        body = await request.read()
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(request.method, f"{self.peer}{request.rel_url}", data=body or None) as answer,
        ):
            told = (await answer.read()).replace(self.peer.encode(), self.base.encode())
            return web.Response(status=answer.status, body=told, content_type=answer.content_type)


@contextlib.asynccontextmanager
async def bridge(peer: str, port: int) -> AsyncIterator[Bridge]:
    there = Bridge(peer, f"http://127.0.0.1:{port}")
    application = web.Application(client_max_size=1 << 28)
    application.add_routes(
        [
            web.post("/api/apps.connections.open", there.opened),
            web.post("/slack/events", there.event),
            web.get("/link", there.delivery.link),
            web.route("*", "/{rest:.*}", there.pass_on),
        ]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield there
    finally:
        await there.delivery.close()
        await runner.cleanup()
