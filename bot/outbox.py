"""Carries the outbox to the platform: each message once, in order within a thread, edits at the platform's pace."""

import time
from collections import defaultdict
from collections.abc import Callable

import structlog

from bot import store
from bot.chat import Chat, Denied, Gone, Message, MessageId, TryLater
from bot.store import Letter
from bot.watching import figures
from engine import fault
from engine.database import Database

log = structlog.get_logger()
RETRY_S = 5.0
STUCK_S = 60.0


class Outbox:
    def __init__(self, database: Database, chat: Chat, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.chat = chat
        self.clock = clock
        self.failing: dict[int, float] = {}
        """When each letter that the platform does not take was first not taken."""

    async def tick(self) -> None:
        """Send what is due. A letter that fails holds back the rest of its thread, and nothing else.

        One that was not taken for a minute lets the next one try; where that gets through, it is given up.
        """
        held: set[str] = set()
        stuck: dict[str, list[Letter]] = defaultdict(list)
        for letter in await self.database.read(store.unsent, self.clock()):
            place = letter.place.id
            if place in held or self._is_too_soon(letter):
                continue
            if await self._send(letter):
                await self._give_up(stuck.pop(place, []))
            elif self.clock() - self.failing.get(letter.seq, self.clock()) >= STUCK_S:
                stuck[place].append(letter)
            else:
                held.add(place)

    async def _give_up(self, letters: list[Letter]) -> None:
        """Letters that the platform does not take, though it takes others: their place in the thread is marked."""
        for letter in letters:
            await self.database.write(store.give_up, letter, "the platform does not take it")
            mark = Message(
                f"{letter.message.key}/unshown", "One of my messages could not be shown here; my log says why."
            )
            await self.database.write(store.say, letter.place, mark)

    def _is_too_soon(self, letter: Letter) -> bool:
        """An edit waits for the platform's pace; meanwhile newer content of the same message replaces it."""
        return letter.id is not None and self.clock() - letter.sent_at < self.chat.pace_s

    async def _send(self, letter: Letter) -> bool:
        # A process that was paused meanwhile may no longer own the database: the look at it says so, before it speaks.
        if not await self.database.read(store.is_due, letter):
            return True
        call = "post" if letter.id is None else "edit"
        try:
            message_id = await self._put(letter, letter.message)
            figures.CALLS.labels(call, "done").inc()
        except TryLater as wait:
            figures.CALLS.labels(call, "try_later").inc()
            await self.database.write(store.postpone, letter, self.clock() + wait.seconds)
            return False
        except (Gone, Denied) as reason:
            figures.CALLS.labels(call, type(reason).__name__.lower()).inc()
            log.warning("message given up", key=letter.message.key, reason=repr(reason))
            await self.database.write(store.give_up, letter, repr(reason))
            return True
        except Exception as error:
            figures.CALLS.labels(call, "failed").inc()
            # A connection that broke says nothing against the letter; what the platform or its file says does.
            if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
                self.failing.setdefault(letter.seq, self.clock())
            log.exception("message failed", key=letter.message.key)
            await self.database.write(store.postpone, letter, self.clock() + RETRY_S)
            return False
        self.failing.pop(letter.seq, None)
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
