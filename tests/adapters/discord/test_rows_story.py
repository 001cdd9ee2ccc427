"""Pasted rows and a dataset of the Hub on Discord, from the message to a plan."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.hub.client import connect
from tests.adapters.discord.conftest import Make
from tests.adapters.discord.house import house
from tests.e2e.house import hub, settings
from tests.twins.discord_world import World

ROWS = "text\n" + "".join(f"row {n}: “so it is” <b> &amp; **R&D**</s>\u00a0end\n" for n in range(12))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as (url, token):
        api = connect(token, url)
        api.create_repo("local/rows", repo_type="dataset")
        api.upload_file(
            path_or_fileobj=ROWS.encode(), path_in_repo="train.csv", repo_id="local/rows", repo_type="dataset"
        )
        yield url, token


async def test_pasted_rows_and_a_dataset_of_the_hub_are_answered_and_planned_on(
    tmp_path: Path, endpoint: tuple[str, str], world: World, make: Make
) -> None:
    team = {"team_channel": str(world.team.id), "chat": "discord"}
    chosen = settings(tmp_path, *endpoint).model_copy(update=team)
    me = f"<@{world.backend.bot_user.id}>"
    async with house(chosen, make(), world) as room:
        await world.is_online()
        sent = await world.ann.send(world.general, f"{me} check\n```\n{ROWS}```")
        offer = await room.sees("shall I use the rows in your message?", button="Use these rows")
        await world.presses(offer, "Use these rows")
        report = await room.sees("is ready for", button="Plan sft")
        assert report.channel_id == sent.id
        kept = chosen.uploads / hashlib.sha256(ROWS.encode()).hexdigest() / "file"
        assert kept.read_text() == ROWS, "not a character of them changed"
        named = await world.ann.send(world.general, f"{me} check hf:local/rows:train[:11]")
        _, report = await room.see_all(2, "is ready for", button="Plan sft")
        assert report.channel_id == named.id
        await world.presses(report, "Plan sft")
        plan = await room.sees("sft: ready to start", button="Start")
        assert plan.channel_id == named.id
