"""The whole bot behind Discord's wire: a real local Hub, real children, an unmodified discord.py in between."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import discord
from simcord.backend.models import Message as Shown
from sqlalchemy import select

from adapters.chat.discord.chat import Discord
from bot import store
from bot.app import App, make
from bot.settings import Settings
from tests.twins.discord_world import World, buttons, plain

ROWS = [f"human: what is item {n}? bot: item {n} is number {n} of threadtune." for n in range(24)]
FACTS = ("text\n" + "".join(f'"{row}"\n' for row in ROWS)).encode()
FAST: dict[str, Any] = {"max_steps": 4, "max_length": 64, "valid": "4"}
RUN_S = 240.0


@dataclass
class House:
    world: World
    app: App | None = None

    async def sees(self, text: str, *, button: str = "", timeout_s: float = 60) -> Shown:
        """The first message of the bot that says this, and that has this button."""
        return (await self.see_all(1, text, button=button, timeout_s=timeout_s))[0]

    async def see_all(self, count: int, text: str, *, button: str = "", timeout_s: float = RUN_S) -> list[Shown]:
        """The messages of the bot that say this and have this button, once there are so many."""
        until = time.monotonic() + timeout_s
        while len(found := self._that_say(text, button)) < count:
            assert time.monotonic() < until, "\n---\n".join([f"no {text!r} among:", *map(plain, self.world.from_bot())])
            await asyncio.sleep(0.05)
        return found

    def _that_say(self, text: str, button: str) -> list[Shown]:
        said = self.world.from_bot()
        return [each for each in said if text in plain(each) and (not button or button in buttons(each))]

    async def asks(self, words: str, **options: Any) -> Any:
        await self.world.is_online()
        return await self.world.ann.slash(self.world.general, f"finetune {words}", **options)

    async def allows(self, name: str, content: bytes) -> discord.Message:
        """Drop a file, and let the bot use it."""
        dropped = await self.world.drops(name, content)
        await self.world.presses(await self.sees(f"shall I use {name}", button="Use this file"), "Use this file")
        return dropped

    async def starts(self, **options: Any) -> Shown:
        """A run on a small file; its living message."""
        await self.asks("sft", file=("facts.csv", FACTS), **{**FAST, **options})
        await self.world.presses(await self.sees("sft: ready to start", button="Start"), "Start")
        return await self.sees("Run 1 ·")

    async def ends(self, title: str = "Run 1 succeeded") -> Shown:
        return await self.sees(f"### {title}\n<@", timeout_s=RUN_S)

    async def inbox(self) -> list[str]:
        assert self.app
        return await self.app.database.read(lambda db: [row.body for row in db.execute(select(store.inbox.c.body))])


@contextlib.asynccontextmanager
async def house(chosen: Settings, chat: Discord, world: World) -> AsyncIterator[House]:
    """The bot serves while the block runs; entering again with another adapter is a restart."""
    chat.pace_s = 0.2
    app = make(chosen, chat)
    serving = asyncio.create_task(app.serve())
    try:
        yield House(world, app)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
