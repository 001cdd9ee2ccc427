"""What every part of the conversation works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bot import store
from bot.chat import Chat, Message, Place
from bot.settings import Settings
from engine.database import Database


@dataclass(frozen=True)
class Context:
    settings: Settings
    database: Database
    chat: Chat
    clock: Callable[[], float] = time.time

    async def say(self, place: Place, message: Message) -> None:
        """Put a message on its way; the outbox carries it."""
        await self.database.write(store.say, place, message)
