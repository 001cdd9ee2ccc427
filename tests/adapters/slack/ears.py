"""A handler that keeps what it hears, with the adapter listening around it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from adapters.chat.slack.chat import SlackChat
from bot.chat import Incoming
from engine.refusal import Refusal
from tests.contract.chat import eventually


class Ears:
    def __init__(self, chat: SlackChat) -> None:
        self.chat = chat
        self.heard: list[Incoming] = []
        self.failures = 0
        self.refusal: Refusal | None = None

    async def handler(self, incoming: Incoming) -> Refusal | None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is away")
        self.heard.append(incoming)
        return self.refusal

    async def hears(self, count: int) -> list[Incoming]:
        await eventually(lambda: len(self.heard) >= count)
        return self.heard


@contextlib.asynccontextmanager
async def ears(chat: SlackChat) -> AsyncIterator[Ears]:
    """Listening while the block runs."""
    those = Ears(chat)
    listening = asyncio.ensure_future(chat.listen(those.handler, ""))
    try:
        yield those
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
