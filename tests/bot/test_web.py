"""The bot's own web server: it says when a tick has stopped, and when it cannot be reached at all."""

import socket
from collections.abc import Iterator

import aiohttp
import pytest

from bot.settings import Settings
from bot.web import STALE_S, Health, serve_web
from engine.refusal import Refusal


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    yield number


async def status(port: int, path: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status


async def test_a_tick_that_stopped_turns_the_bot_unhealthy(port: int) -> None:
    now = 1000.0
    health = Health(lambda: now)

    async def tick() -> None:
        pass

    beat = health.watched(tick)
    async with serve_web(Settings(_env_file=None, http_port=port), health):
        await beat()
        assert await status(port, "/healthz") == 200
        now += STALE_S + 1
        assert await status(port, "/healthz") == 503
        await beat()
        assert await status(port, "/readyz") == 200
        assert await status(port, "/metrics") == 200


async def test_a_chat_that_takes_no_token_turns_the_bot_unhealthy(port: int) -> None:
    health = Health()
    async with serve_web(Settings(_env_file=None, http_port=port), health):
        assert await status(port, "/healthz") == 200
        health.shortage = "The disk is full."
        assert (await status(port, "/healthz"), await status(port, "/readyz")) == (200, 503)
        health.ailment = "Slack no longer takes SLACK_BOT_TOKEN."
        assert await status(port, "/healthz") == 503
        assert await status(port, "/readyz") == 503


async def test_a_tick_that_fails_does_not_count_as_one() -> None:
    now = 1000.0
    health = Health(lambda: now)

    async def tick() -> None:
        raise RuntimeError("no")

    beat = health.watched(tick)
    now += STALE_S + 1
    with pytest.raises(RuntimeError):
        await beat()
    assert len(health.stale()) == 1


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Refusal, match="HTTP_PORT"):
            async with serve_web(Settings(_env_file=None, http_port=port), Health()):
                pass
