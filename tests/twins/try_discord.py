"""`make try-discord`: the whole bot as a process of its own, and Discord played for it in a browser page. No token.

The page is simcord's preview: it shows the channel as Discord does, and its buttons and commands are real ones.
"""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from simcord.backend.errors import SetupError

from adapters.chat.console.local import settings
from adapters.chat.console.screen import Screen
from bot.settings import Settings
from tests.twins.discord import TOKEN, Wire
from tests.twins.discord_world import World

DATA = Path("data/try-discord")
WELCOME = (
    "Type /finetune, choose a method, and give it a file of examples/, such as facts.csv for sft. "
    "Everything runs on this machine; bob is the other one who can press buttons."
)


def environment(chosen: Settings, world: World) -> dict[str, str]:
    """What `python -m bot serve` needs to find this Discord, and the Hub of this machine."""
    return {
        **os.environ,
        **chosen.hub_environment(),
        "HF_NAMESPACE": chosen.hf_namespace,
        "CACHE": str(chosen.cache),
        "DATA": str(chosen.data),
        "CHAT": "discord",
        "DEFAULT_MODEL": chosen.default_model,
        "TEAM_CHANNEL": str(world.team.id),
        "HTTP_PORT": "0",
        "DISCORD_TOKEN": TOKEN,
        "DISCORD_API": world.wire.api,
        "DISCORD_GATEWAY": world.wire.gateway,
    }


@contextlib.asynccontextmanager
async def served(chosen: Settings, world: World) -> AsyncIterator[asyncio.subprocess.Process]:
    """The bot as a process of its own, before this Discord."""
    with (chosen.data / "bot.log").open("ab") as log:
        command = (sys.executable, "-m", "bot", "serve")
        child = await asyncio.create_subprocess_exec(*command, env=environment(chosen, world), stdout=log, stderr=log)
        try:
            yield child
        finally:
            if child.returncode is None:
                child.terminate()
            await child.wait()


@contextlib.asynccontextmanager
async def stage(chosen: Settings) -> AsyncIterator[tuple[World, Any]]:
    """The world with the bot in it, and its page, which shows one thread: the page knows one channel at a time."""
    wire = Wire()
    wire.patience_s = 3.0
    await wire.start()
    world = World(wire)
    await world.env.start()
    root = await world.bob.send(world.general, "Let us try threadtune.")
    thread = world.backend.create_thread(world.general.id, "threadtune", world.bob.id, message_id=root.id)
    await world.bob.send(world.channel(thread.id), WELCOME)
    try:
        async with served(chosen, world):
            await world.is_online()
            people = [world.ann, world.bob]
            async with world.env.preview(world.channel(thread.id), viewers=people, layout="channel") as preview:
                refreshing = asyncio.create_task(refresh(wire, preview))
                yield world, preview
                refreshing.cancel()
    finally:
        await world.env.shutdown()
        await wire.stop()


async def refresh(wire: Wire, preview: Any) -> None:
    """Show what the bot did; the page itself waits only for what was done on it."""
    shown = 0
    while True:
        await asyncio.sleep(0.4)
        if shown != len(wire.seen):
            with contextlib.suppress(SetupError):
                await preview.refresh()
                shown = len(wire.seen)


async def play(chosen: Settings) -> None:
    async with stage(chosen) as (_, preview):
        sys.stdout.write(f"Open this in a browser: {preview.url}\nCtrl-C ends it.\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    with settings(Screen(can_edit=False), data=DATA) as chosen, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(play(chosen))


if __name__ == "__main__":
    main()
