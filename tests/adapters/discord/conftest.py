"""The platform on loopback, and adapters before it that end with the test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.chat.discord import connect
from adapters.chat.discord.chat import Discord
from adapters.chat.discord.kept import Kept
from adapters.chat.discord.settings import DiscordSettings
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
