"""Saying that something takes long, while it does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from sqlalchemy import Connection

from bot import store
from bot.chat import Incoming, Message, Place
from bot.talk.context import Context
from engine.refusal import Refusal

QUICK_S = 2.0
"""What is done sooner is not announced."""


@contextlib.asynccontextmanager
async def patience(context: Context, incoming: Incoming, message: Message, instead: str = "") -> AsyncIterator[None]:
    """Say `message` if the block takes long; what is said after it under the same key replaces it.

    Where the block ends in a Refusal, `instead` replaces it, and the refusal goes on.
    """
    was_said = False

    async def later() -> None:
        nonlocal was_said
        await asyncio.sleep(QUICK_S)
        was_said = True
        await context.database.write(say_first, incoming.place, message)

    waiting = asyncio.create_task(later())
    try:
        yield
    except Refusal:
        if was_said and instead:
            await context.say(incoming.place, replace(message, text=instead))
        raise
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


def say_first(db: Connection, place: Place, message: Message) -> None:
    """What was said under the key stays: it may have been on its way already when the wait grew long."""
    if store.said(db, message.key) is None:
        store.say(db, place, message)
