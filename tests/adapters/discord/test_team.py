"""A team's matters in Discord's twin: an admin by a role, the audit in private, notices, private channels."""

import asyncio
from pathlib import Path

import discord

from bot.chat import Place
from bot.settings import Settings
from tests.adapters.discord.conftest import Make, ignore
from tests.adapters.discord.house import house
from tests.twins.discord_world import World


async def test_a_role_makes_an_admin_who_alone_reads_the_audit(tmp_path: Path, world: World, make: Make) -> None:
    chosen = Settings(
        _env_file=None, data=tmp_path, chat="discord", http_port=0, admins=str(world.trainers.id), cache=tmp_path / "c"
    )
    async with house(chosen, make(), world) as room:
        await world.is_online()
        await world.bob.slash(world.general, "finetune notify", what="all")
        await room.sees("every run that ends")
        name = f"<@{world.backend.bot_user.id}>"
        await world.bob.send(world.general, f"{name} audit")
        await room.sees("That is for admins")
        await world.ann.send(world.general, f"{name} audit")
        audit = await room.sees("How it went")
        assert world.can_see(world.ann, audit) and not world.can_see(world.bob, audit)


async def test_a_channel_that_not_everybody_sees_is_private(world: World, make: Make) -> None:
    chat = make()
    everyone = {world.guild.default_role: discord.PermissionOverwrite(view_channel=False)}
    closed = world.guild.create_text_channel("closed", overwrites=everyone)  # type: ignore[arg-type]  # a dict of one kind of key
    listening = asyncio.create_task(chat.listen(ignore, ""))
    try:
        await world.is_online()
        assert await chat.is_private(Place(str(closed.id)))
        assert not await chat.is_private(Place(f"{world.general.id}/i5"))
        assert await chat.is_private(Place(f"@{world.ann.id}"))
        assert await chat.is_private(Place("123"))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
