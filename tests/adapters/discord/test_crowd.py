"""Twenty runs at once on one server, each a whole one through the whole bot: Discord never has to say 429."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from simcord.backend.models import Message as Shown

from tests.adapters.discord.conftest import Make
from tests.adapters.discord.house import FACTS, FAST, House
from tests.e2e.crowd import Crowd, served
from tests.e2e.house import hub, settings
from tests.twins.discord_world import World, buttons, plain

pytestmark = pytest.mark.slow
RUNS = 20


@pytest.fixture
async def crowd() -> AsyncIterator[Crowd]:
    made = Crowd(slots=RUNS, train_s=45.0)
    yield made
    await made.ends()


async def test_twenty_runs_at_once_never_meet_a_429(tmp_path: Path, world: World, make: Make, crowd: Crowd) -> None:
    """All planned by commands, each in its thread, and started by clicks; the bot is restarted while they train."""
    world.wire.latency_s = 0.03
    with hub(tmp_path) as endpoint:
        team = {"team_channel": str(world.team.id), "chat": "discord", "max_running": 0, "max_queued": 0}
        chosen = settings(tmp_path, *endpoint).model_copy(update=team)
        async with served(chosen, make(), crowd) as app:
            room = House(world, app)
            for _ in range(RUNS):
                await room.asks("sft", file=("facts.csv", FACTS), **FAST)
            plans = await room.see_all(RUNS, "sft: ready to start", button="Start")
            for plan in plans:
                await world.presses(plan, "Start")
            await room.see_all(RUNS, "Step")
        await world.wire.kick()
        async with served(chosen, make(), crowd) as app:
            room = House(world, app)
            finals = await room.see_all(RUNS, " succeeded\n<@")
            await room.see_all(RUNS, "asked for by ann")
            await room.see_all(RUNS, " · succeeded")
    assert world.wire.rates.refused == []
    assert crowd.most == RUNS
    assert len({final.channel_id for final in finals}) == RUNS, "each in the thread of its command"
    assert sorted(message.id for message in world.from_bot() if world.pinged(message)) == sorted(f.id for f in finals)
    lives = [
        message for message in world.from_bot() if plain(message).startswith("### Run ") and " · " in head(message)
    ]
    assert len(lives) == RUNS and not any(buttons(live) for live in lives)


def head(message: Shown) -> str:
    return plain(message).split("\n")[0]
