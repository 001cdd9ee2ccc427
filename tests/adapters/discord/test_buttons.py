"""Buttons, forms and the menu on a message, pressed as Discord delivers it; the trainings are event files."""

from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from simcord.backend.models import Message as Shown

from bot.settings import Settings
from tests.adapters.discord.conftest import Make
from tests.adapters.discord.house import FACTS, FAST, House
from tests.adapters.slack.unlucky import Unlucky
from tests.contract.chat import eventually
from tests.e2e.crowd import served
from tests.e2e.house import hub, settings
from tests.twins.discord import Fault
from tests.twins.discord_world import World, buttons, plain

pytestmark = pytest.mark.slow
COLUMNS = ("Frage,Antwort\n" + "".join(f"Was ist {n}?,{n} ist eine Zahl.\n" for n in range(24))).encode()
GAP = b"prompt,text\nWhat is a run?,One training.\nWhat is a repo?,\n"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def chosen(tmp_path: Path, endpoint: tuple[str, str], world: World) -> Settings:
    return settings(tmp_path, *endpoint).model_copy(update={"team_channel": str(world.team.id), "chat": "discord"})


@pytest.fixture
async def crowd() -> AsyncIterator[Unlucky]:
    made = Unlucky(slots=1, train_s=1.0, steps=5)
    yield made
    await made.ends()


async def fills(world: World, message: Shown, label: str, values: Mapping[str, Any]) -> None:
    """Press a button, and fill in the form that it opens."""
    opened = await world.presses(message, label)
    await eventually(lambda: opened.modal is not None)
    await world.ann.submit_modal(opened, dict(values))


async def test_columns_gaps_a_broken_run_and_a_refused_push_are_mended_by_buttons(
    chosen: Settings, world: World, make: Make, crowd: Unlucky
) -> None:
    async with served(chosen, make(), crowd) as app:
        room = House(world, app)
        await world.is_online()
        await room.allows("gap.csv", GAP)
        await fills(world, await room.sees("gap.csv", button="Fill in 1 cell"), "Fill in 1 cell", {"gap0": "A place."})
        await room.sees("gap.fixed.csv is ready for")
        dropped = await room.allows("columns.csv", COLUMNS)
        report = await room.sees("columns.csv", button="Choose columns")
        await fills(world, report, "Choose columns", {"text": ["Antwort"], "prompt": ["Frage"]})
        plan = await room.sees("sft: ready to start", button="Start")
        assert plan.channel_id == dropped.id
        await fills(world, plan, "Settings", {"epochs": "7", "others": "seed=7"})
        await eventually(lambda: "seed" in plain(plan))
        await world.presses(plan, "Start")
        failed = await room.ends("Run 1 failed")
        await world.presses(failed, "Start it again", world.ann)
        await world.presses(failed, "Start it again", world.bob)
        held = await room.sees("Run 2 is trained, but not pushed", button="Push again")
        crowd.may_push = True
        await world.presses(held, "Push again")
        final = await room.ends("Run 2 succeeded")
        assert final.channel_id == dropped.id and "http://hub.example/local/of-run-2" in plain(final)
        await room.sees("Run 2 was started in its place already")
        assert not [message for message in world.from_bot() if "Run 3" in plain(message)]
    assert world.wire.rates.refused == []


async def test_the_form_and_the_menu_become_runs_of_which_one_is_cancelled(
    chosen: Settings, world: World, make: Make, crowd: Unlucky
) -> None:
    """Drops are not noticed here: the menu on a message does without."""
    crowd.may_push, crowd.train_s, crowd.steps = True, 300.0, 3000
    chat = make(drops="off")
    async with served(chosen, chat, crowd) as app:
        room = House(world, app)
        form = await room.asks("form")
        await eventually(lambda: form.modal is not None)
        more = " ".join(f"{name}={value}" for name, value in FAST.items())
        values = {"method": ["sft"], "file": ("facts.csv", FACTS), "model": "local/mini", "more": more}
        await world.ann.submit_modal(form, values)
        plan = await room.sees("sft: ready to start", button="Start")
        card = next(message for message in world.from_bot() if message.id == plan.channel_id)
        assert "/finetune sft" in plain(card) and "facts.csv" in plain(card), "the card whose thread this is"
        await world.presses(plan, "Start")
        await room.ends("Run 1 failed")

        dropped = await world.drops("menu.csv", FACTS)
        world.env._message_states.add(dropped._state)
        await world.ann.context_menu(world.general, "Fine-tune this file", dropped)
        assert (await room.sees("### menu.csv is ready for")).channel_id == dropped.id
        await world.ann.send(world.channel(dropped.id), f"<@{world.backend.bot_user.id}> sft {more}")
        plan = await room.sees("sft on menu.csv", button="Start")
        assert plan.channel_id == dropped.id
        await world.presses(plan, "Start")
        live = await room.sees("### Run 2 ·", button="Cancel")
        await eventually(lambda: "Step" in plain(live))
        await world.presses(live, "Cancel")
        final = await room.ends("Run 2 cancelled")
        assert final.channel_id == dropped.id
        await eventually(lambda: "Run 2 · cancelled" in plain(live) and not buttons(live))


async def test_a_file_that_is_deleted_before_it_is_fetched_is_asked_for_again(
    chosen: Settings, world: World, make: Make, crowd: Unlucky
) -> None:
    """Its uploader agreed; Discord was in trouble just then, and meanwhile the message was deleted."""
    async with served(chosen, make(), crowd) as app:
        room = House(world, app)
        await world.is_online()
        dropped = await world.drops("facts.csv", FACTS)
        offer = await room.sees("shall I use facts.csv", button="Use this file")
        trouble = Fault(rf"GET /channels/{world.general.id}/messages/\d+$", status=503, times=10**6, passes=1)
        world.wire.faults.append(trouble)
        await world.presses(offer, "Use this file")
        await eventually(lambda: trouble.times < 10**6)
        world.backend.delete_message(world.general.id, dropped.id)
        trouble.times = 0
        await room.sees("facts.csv is no longer there; drop it again.")
        assert not chosen.uploads.exists() or not list(chosen.uploads.iterdir())
