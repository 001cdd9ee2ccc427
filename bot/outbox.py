"""Carries the outbox to the platform: each message once, in order within a thread, edits at the platform's pace."""

import time
from collections.abc import Callable

import structlog

from bot import store
from bot.chat import Chat, Denied, Gone, Message, MessageId, TryLater
from bot.store import Letter
from engine import fault
from engine.database import Database

log = structlog.get_logger()
RETRY_S = 5.0


class Outbox:
    def __init__(self, database: Database, chat: Chat, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.chat = chat
        self.clock = clock

    async def tick(self) -> None:
        """Send what is due. A letter that fails holds back the rest of its thread, and nothing else."""
        held: set[str] = set()
        for letter in await self.database.read(store.unsent, self.clock()):
            if letter.place.id not in held and not self._is_too_soon(letter) and not await self._send(letter):
                held.add(letter.place.id)

    def _is_too_soon(self, letter: Letter) -> bool:
        """An edit waits for the platform's pace; meanwhile newer content of the same message replaces it."""
        return letter.id is not None and self.clock() - letter.sent_at < self.chat.pace_s

    async def _send(self, letter: Letter) -> bool:
        # A process that was paused meanwhile may no longer own the database: the look at it says so, before it speaks.
        if not await self.database.read(store.is_due, letter):
            return True
        try:
            message_id = await self._put(letter, letter.message)
        except TryLater as wait:
            await self.database.write(store.postpone, letter, self.clock() + wait.seconds)
            return False
        except (Gone, Denied) as reason:
            log.warning("message given up", key=letter.message.key, reason=repr(reason))
            await self.database.write(store.give_up, letter, repr(reason))
            return True
        except Exception:
            log.exception("message failed", key=letter.message.key)
            await self.database.write(store.postpone, letter, self.clock() + RETRY_S)
            return False
        await self.database.write(store.sent, letter, message_id, self.clock())
        return True

    async def _put(self, letter: Letter, message: Message) -> MessageId:
        if letter.id is None:
            what = message.key.rpartition("/")[2]
            fault.point(f"outbox.before.{what}")
            posted = await self.chat.post(letter.place, message)
            fault.point(f"outbox.posted.{what}")
            return posted
        await self.chat.edit(letter.id, message)
        return letter.id
