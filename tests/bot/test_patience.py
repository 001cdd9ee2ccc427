"""A word while something takes long never covers what came of it."""

import asyncio

import pytest

from bot import store
from bot.chat import Command, Incoming, Message
from bot.talk import patience
from bot.talk.context import Context
from tests.bot.test_ask import ANN, THREAD, context

__all__ = ["context"]
INCOMING = Incoming("k", THREAD, ANN, Command("sft"))
WAIT, DONE = Message("draft/1", "Planning …"), Message("draft/1", "Start it?")


async def test_what_was_said_stays_however_late_the_word_comes(context: Context) -> None:
    await context.say(THREAD, DONE)
    await context.database.write(patience.say_first, THREAD, WAIT)
    assert await context.database.read(store.said, "draft/1") == DONE


async def test_what_takes_long_is_announced_and_then_replaced(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "QUICK_S", 0.0)
    async with asyncio.timeout(60), patience.patience(context, INCOMING, WAIT):
        while await context.database.read(store.said, "draft/1") != WAIT:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await context.say(THREAD, DONE)
    assert await context.database.read(store.said, "draft/1") == DONE
