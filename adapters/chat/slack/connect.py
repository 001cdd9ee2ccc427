"""The line to Slack: a WebSocket that we open (Socket Mode), or Slack's signed requests (HTTP).

Bolt acknowledges before a listener runs, so nothing here is a listener: one middleware takes everything, and what it
returns is the acknowledgement. Where it raises, nothing is acknowledged and Slack delivers again.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError

from adapters.chat.slack.api import Api
from adapters.chat.slack.reading import Bot
from adapters.chat.slack.settings import SlackSettings
from bot.chat import TryLater
from engine.refusal import Refusal

log = structlog.get_logger()
PATH = "/slack/events"
WATCH_S = 5.0
OUTAGE_S = 30.0
FINISH_S = 3.0
BACKLOG = 128
TURNS = 10
Receive = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]


@contextlib.asynccontextmanager
async def serving(
    settings: SlackSettings, api: Api, me: Bot, receive: Receive, missed: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Deliver to `receive` while the block runs; its answer is what Slack is told. `missed` is awaited after an
    outage in which Slack may have given up delivering. Raises Refusal when Slack does not take the app token."""
    busy: set[asyncio.Task[Any]] = set()
    app = _app(settings, api, me, receive, busy)
    async with _socket(app, settings, api, missed) if settings.is_socket else _http(app, settings):
        try:
            yield
        finally:
            if busy:
                await asyncio.wait(busy, timeout=FINISH_S)


def _app(settings: SlackSettings, api: Api, me: Bot, receive: Receive, busy: set[asyncio.Task[Any]]) -> AsyncApp:
    logging.getLogger("slack_bolt").setLevel(logging.WARNING)
    secret = settings.signing_secret.get_secret_value() or None

    async def authorize() -> AuthorizeResult:
        """One workspace, known already: Bolt need not ask Slack again."""
        return AuthorizeResult(
            enterprise_id=None, team_id=me.team, bot_user_id=me.user, bot_id=me.id, bot_token=api.token
        )

    app = AsyncApp(client=api.client, signing_secret=secret, authorize=authorize)

    @app.middleware
    async def take(body: dict[str, Any]) -> BoltResponse:
        task = asyncio.current_task()
        if task:
            busy.add(task)
            task.add_done_callback(busy.discard)
        answer = await receive(body)
        return BoltResponse(status=200, body=answer if answer is not None else "")

    return app


@contextlib.asynccontextmanager
async def _http(app: AsyncApp, settings: SlackSettings) -> AsyncIterator[None]:
    runner = web.AppRunner(app.web_app(path=PATH), access_log=None)
    await runner.setup()
    try:
        at = _bound(settings)
        await web.SockSite(runner, at).start()
        try:
            yield
        finally:
            await _deafened(at)
    finally:
        await runner.cleanup()


def _bound(settings: SlackSettings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=BACKLOG)
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise Refusal(f"Nothing can listen on {where}: {error.strerror}. Set SLACK_PORT.", "SLACK_PORT") from None


async def _deafened(at: socket.socket) -> None:
    """Accept nothing more, and let what was accepted reach the server: in Python 3.11, a connection whose server is
    closed in between is closed by nobody."""
    asyncio.get_running_loop().remove_reader(at)
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def _socket(
    app: AsyncApp, settings: SlackSettings, api: Api, missed: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    handler = AsyncSocketModeHandler(app, settings.app_token.get_secret_value(), web_client=api.client)
    client: Any = handler.client  # slack-sdk leaves the types of connect and close open
    watching: asyncio.Task[None] | None = None
    try:
        await _connect(client)
        watching = asyncio.create_task(watch(client, api, missed))
        yield
    finally:
        if watching:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await client.close()
        tasks = (client.message_processor, client.current_session_monitor, client.message_receiver)
        await asyncio.gather(*filter(None, tasks), return_exceptions=True)


async def _connect(client: Any) -> None:
    """Not cut off in the middle: a connection that is half made when its caller goes belongs to nobody, and is closed
    by nobody."""
    connecting = asyncio.ensure_future(_connected(client))
    try:
        await asyncio.shield(connecting)
    finally:
        await asyncio.wait({connecting}, timeout=FINISH_S)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)


async def _connected(client: Any) -> None:
    """The client itself would try a token that Slack does not take again and again; so the first address is asked for
    here."""
    try:
        client.wss_uri = await client.issue_new_wss_url()
    except SlackApiError as error:
        why = error.response.get("error", "no reason")
        raise Refusal(f"Slack does not open a socket for SLACK_APP_TOKEN ({why}).", "SLACK_APP_TOKEN") from None
    await client.connect()


async def watch(client: Any, api: Api, missed: Callable[[], Awaitable[None]], every_s: float = WATCH_S) -> None:
    """The client reconnects by itself; where it does not for half a minute, it is told to. After that long, what
    happened meanwhile is read back. `every_s` is how often it is looked at."""
    down = 0.0
    while True:
        await asyncio.sleep(every_s)
        if await client.is_connected():
            if down >= OUTAGE_S:
                await missed()
            down = 0.0
            continue
        down += WATCH_S
        if down >= OUTAGE_S:
            log.warning("the socket to Slack is down", seconds=down)
            with contextlib.suppress(TryLater):
                await api.call("auth.test")
            with contextlib.suppress(SlackApiError, aiohttp.ClientError, OSError):
                await client.connect_to_new_endpoint(force=True)
