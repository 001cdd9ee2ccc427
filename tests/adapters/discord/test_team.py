"""A team's matters in Discord's twin: an admin by a role, the audit in private, notices, private channels."""

import asyncio
from pathlib import Path

import discord
import pytest

from bot.chat import Place
from bot.settings import Settings
from tests.adapters.discord.conftest import Make, ignore
from tests.adapters.discord.house import FACTS, FAST, House, house
from tests.contract.chat import eventually
from tests.e2e.crowd import Crowd, served
from tests.e2e.house import hub, settings
from tests.twins.discord_world import World, plain


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


@pytest.mark.slow
async def test_quota_approval_by_a_role_and_the_audit(tmp_path: Path, world: World, make: Make) -> None:
    """bob may start, runs of a cost wait for the role that ann has, and a day has one run for each."""
    crowd = Crowd(slots=2, train_s=1.0, steps=5)
    team = {
        "chat": "discord",
        "team_channel": str(world.team.id),
        "admins": str(world.trainers.id),
        "approve_above_hours": 0.000_001,
        "max_runs_a_day": 1,
    }
    with hub(tmp_path) as endpoint:
        chosen = settings(tmp_path, *endpoint).model_copy(update=team)
        async with served(chosen, make(), crowd) as app:
            room = House(world, app)
            await world.is_online()
            await world.bob.slash(world.general, "finetune sft", file=("facts.csv", FACTS), **FAST)
            plan = await room.sees("sft: ready to start", button="Start")
            await world.presses(plan, "Start", world.bob)
            over = await room.sees("a second person approves", button="Ask for approval")
            await world.presses(over, "Ask for approval", world.bob)
            asked = await room.see_all(2, "", button="Approve")
            request = next(message for message in asked if message.channel_id == world.team.id)
            await world.presses(request, "Approve", world.bob)
            await room.sees("Approving is for admins")
            await world.presses(request, "Approve", world.ann)
            final = await room.ends()
            assert final.ping_user_ids == [world.bob.id] and final.channel_id == plan.channel_id
            await eventually(lambda: plain(request).startswith("### Approved by ann"))

            await world.bob.slash(world.general, "finetune clm", file=("facts.csv", FACTS), **FAST)
            await world.presses(await room.sees("clm: ready to start", button="Start"), "Start", world.bob)
            await room.sees("started 1 runs within a day")
            await world.ann.slash(world.general, "finetune say", words="audit")
            audit = await room.sees("How it went")
            assert world.can_see(world.ann, audit) and not world.can_see(world.bob, audit)
            assert all(word in plain(audit) for word in ("approve", "start", "ann", "bob"))
    await crowd.ends()
    assert world.wire.rates.refused == []
