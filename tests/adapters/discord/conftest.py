"""The platform on loopback, and adapters before it that end with the test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import discord
import pytest
from pydantic import SecretStr

from adapters.chat.discord import connect
from adapters.chat.discord.chat import Discord
from adapters.chat.discord.kept import Kept
from adapters.chat.discord.settings import DiscordSettings
from bot.chat import Incoming
from tests.twins.discord import TOKEN, Wire
from tests.twins.discord_world import World

Make = Callable[..., Discord]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(connect, "GUILDS_S", 0.05)
    monkeypatch.setattr(connect, "BACK_OFF_S", (0.05, 0.1))
    wire = Wire()
    await wire.start()
    yield World(wire)
    await wire.stop()


@pytest.fixture
async def make(world: World, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes adapters as after a restart: what they keep is in the same folder."""
    made: list[Discord] = []

    def make(**chosen: str) -> Discord:
        addresses = {"api": world.wire.api, "gateway": world.wire.gateway}
        settings = DiscordSettings.model_validate({"token": SecretStr(TOKEN), **addresses, **chosen})
        made.append(Discord(settings, Kept(tmp_path / "discord")))
        return made[-1]

    yield make
    for chat in made:
        await chat.close()
        chat.kept.close()


async def ignore(incoming: Incoming) -> None:
    """Takes everything, and does nothing."""


def deny(world: World, permission: str) -> None:
    """In the channel `general`, for everybody who is no administrator; the bot's own roles are taken away."""
    world.backend.guilds[world.guild.id].members[world.backend.bot_user.id].role_ids.clear()
    overwrite = discord.PermissionOverwrite(**{permission: False})
    everyone = {world.guild.default_role: overwrite}
    closed = world.guild.create_text_channel("closed", overwrites=everyone)  # type: ignore[arg-type]  # a dict of one kind of key
    channels = world.backend.channels
    channels[world.general.id].overwrites = channels[closed.id].overwrites
