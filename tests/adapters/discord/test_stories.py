"""What people go through on Discord, from the first file to the model."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from simcord.backend.models import Message as Shown

from bot.settings import Settings
from tests.adapters.discord.conftest import Make
from tests.adapters.discord.house import FACTS, FAST, RUN_S, House, house
from tests.contract.chat import eventually
from tests.e2e.house import hub, settings, trainers
from tests.naughty import NAUGHTY, PINGS
from tests.twins.discord_world import World, buttons, plain, texts
from tests.twins.try_discord import served


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


@pytest.fixture
def chosen(tmp_path: Path, endpoint: tuple[str, str], world: World) -> Settings:
    return settings(tmp_path, *endpoint).model_copy(update={"team_channel": str(world.team.id), "chat": "discord"})


@pytest.mark.slow
async def test_a_command_with_a_file_becomes_a_model_in_its_thread(chosen: Settings, world: World, make: Make) -> None:
    async with house(chosen, make(), world) as room:
        result = await room.asks("sft", file=("facts.csv", FACTS), **FAST)
        await room.sees("ready for")
        plan = await room.sees("sft: ready to start", button="Start")
        assert result.response.id == plan.channel_id, "the thread is on the card that answers the command"
        await world.presses(plan, "Start")
        final = await room.ends()
        assert final.ping_user_ids == [world.ann.id] and final.channel_id == plan.channel_id
        assert [file["filename"] for file in final.attachments] == ["run-1-loss.png", "run-1.yaml"]
        assert "Prompt" in plain(final) and "facts-sft" in plain(final)
        card = await room.sees("asked for by ann")
        assert card.channel_id == world.team.id and plain(card).startswith("### Run 1 succeeded")
        live = await room.sees("Run 1 · succeeded")
        assert live.edited_timestamp and not buttons(live)
        assert [message.id for message in world.from_bot() if world.pinged(message)] == [final.id]


async def test_a_dropped_file_is_used_only_when_its_uploader_says_so(
    chosen: Settings, world: World, make: Make
) -> None:
    async with house(chosen, make(), world) as room:
        await world.is_online()
        dropped = await world.drops("facts.csv", FACTS)
        offer = await room.sees("shall I use facts.csv")
        assert offer.channel_id == dropped.id, "the offer is in a thread on the message"
        assert await room.inbox() == []
        await world.presses(offer, "Use this file", world.bob)
        await room.sees("Only ann")
        assert any("Only ann" in text for text in world.private())
        assert await room.inbox() == []
        assert not [name for name in world.wire.seen if "/attachments/" in name]
        await world.presses(offer, "Use this file")
        await room.sees("ready for")
        (row,) = await room.inbox()
        assert json.loads(row)["incoming"]["what"] == vars(world.upload(dropped))
        assert "http" not in row
        assert not buttons(await room.sees("ann lets me use facts.csv"))


@pytest.mark.slow
async def test_a_dropped_file_with_mistakes_becomes_a_model_that_can_be_tried(
    chosen: Settings, world: World, make: Make
) -> None:
    """Mended by a button, planned by words in the thread, started by two people at once after a restart of the bot."""
    broken = FACTS.replace(b"text\n", b"Text \n") + FACTS.splitlines(keepends=True)[1]
    async with house(chosen, make(), world) as room:
        await world.is_online()
        dropped = await world.drops("facts.csv", broken)
        await world.presses(await room.sees("shall I use facts.csv"), "Use this file")
        report = await room.sees("### facts.csv")
        assert report.channel_id == dropped.id
        mend = next(label for label in buttons(report) if not label.startswith("Plan"))
        await world.presses(report, mend)
        await room.sees("facts.fixed.csv is ready for")
        await eventually(lambda: any("facts.fixed.csv" in attached(message) for message in world.from_bot()))
        await world.ann.send(world.channel(dropped.id), f"<@{world.backend.bot_user.id}> sft max_steps=4 max_length=64")
        plan = await room.sees("sft: ready to start", button="Start")
        assert plan.channel_id == dropped.id
    await world.wire.kick()
    async with house(chosen, make(), world) as room:
        await world.is_online()
        await world.presses(plan, "Start", world.ann)
        await world.presses(plan, "Start", world.bob)
        final = await room.ends()
        assert final.channel_id == dropped.id and "Try it" in buttons(final)
        assert (await room.sees("asked for by ann")).channel_id == world.team.id
        await room.sees("Run 1 · succeeded")
        assert len([message for message in world.from_bot() if plain(message).startswith("### Run 1 ·")]) == 1
        await world.presses(final, "Try it")
        opened = await world.presses(await room.sees("Loaded.", button="Ask", timeout_s=RUN_S), "Ask")
        await eventually(lambda: opened.modal is not None)
        await world.ann.submit_modal(opened, {"question": "what is item 3?"})
        asked = await room.sees("“what is item 3?”")
        assert asked.channel_id == dropped.id
        await eventually(lambda: "Before (local/mini)" in plain(asked) and "After (run 1)" in plain(asked))
        assert [message.id for message in world.from_bot() if world.pinged(message)] == [final.id]
    assert world.wire.rates.refused == []


def attached(message: Shown) -> list[str]:
    return [file["filename"] for file in message.attachments]


async def test_a_command_in_a_channel_where_the_bot_is_not_to_work_is_refused_in_private(
    chosen: Settings, world: World, make: Make
) -> None:
    here = chosen.model_copy(update={"channels": str(world.team.id), "team_channel": ""})
    async with house(here, make(), world) as room:
        await room.asks("status")
        refused = await room.sees("I do not work in this channel")
        assert world.can_see(world.ann, refused) and not world.can_see(world.bob, refused)
        await world.ann.slash(world.team, "finetune help")
        await room.sees("Drop a CSV or JSONL here")
        assert await room.inbox(), "in its own channel it works"


@pytest.mark.slow
async def test_a_run_is_cancelled_by_its_button(chosen: Settings, world: World, make: Make) -> None:
    async with house(chosen, make(), world) as room:
        live = await room.starts(max_steps=5000)
        await world.presses(live, "Cancel")
        assert "Run 1 cancelled" in plain(await room.ends("Run 1 cancelled"))


@pytest.mark.slow
async def test_two_people_who_press_start_at_once_train_once(chosen: Settings, world: World, make: Make) -> None:
    async with house(chosen, make(), world) as room:
        await room.asks("sft", file=("facts.csv", FACTS), **FAST)
        plan = await room.sees("sft: ready to start", button="Start")
        await world.presses(plan, "Start", world.ann)
        await world.presses(plan, "Start", world.bob)
        await room.sees("That was answered already")
        live = await room.sees("Run 1 ·", button="Cancel")
        await world.presses(live, "Cancel")
        await room.ends("Run 1 cancelled")
        assert not [message for message in world.from_bot() if "Run 2" in plain(message)]


@pytest.mark.slow
async def test_a_run_outlives_a_restart_and_its_buttons_do(chosen: Settings, world: World, make: Make) -> None:
    async with house(chosen, make(), world) as room:
        live = await room.starts(max_steps=5000)
        await room.sees("Step")
    await world.wire.kick()
    async with house(chosen, make(), world) as room:
        await world.is_online()
        assert len(trainers(chosen.runs)) == 1
        await world.presses(live, "Cancel")
        await room.ends("Run 1 cancelled")
    assert len([message for message in world.from_bot() if plain(message).startswith("### Run 1 ·")]) == 1


async def test_hundreds_of_naughty_strings_ping_nobody(chosen: Settings, world: World, make: Make) -> None:
    """In rows, names of columns and of files, in cells that are filled in, and in what is said to the bot."""
    mine = [f"<@{world.ann.id}>", f"<@!{world.bob.id}>", f"<@&{world.trainers.id}>", "[here](http://evil.example)"]
    strings = [*mine, *NAUGHTY]
    rows = "".join(json.dumps({"text": text, text[:60] or "x": text}) + "\n" for text in strings)
    table = io.StringIO()
    csv.writer(table).writerows([["prompt", "text", *PINGS], *([text, text, *PINGS] for text in strings)])
    me = f"<@{world.backend.bot_user.id}>"
    async with house(chosen, make(), world) as room:
        await world.is_online()
        await room.allows("@everyone **x** <@1>.jsonl", rows.encode())
        await room.sees("### @everyone **x** <@1>.jsonl")
        await room.allows("@here.csv", table.getvalue().encode())
        await room.sees("### @here.csv")
        for text in [*mine, *strings[::150]]:
            await world.ann.send(world.general, f"{me} {text}"[:2000])
        last = await world.ann.send(world.general, f"{me} {' '.join(mine)} the last")
        await eventually(lambda: any(message.channel_id == last.id for message in world.from_bot()))
    assert not [message for message in world.from_bot() if world.pinged(message)]
    said = "\n".join(part for message in world.from_bot() for part in texts(message))
    unfenced = re.sub(r"```.*?\n```", "", said, flags=re.DOTALL)
    assert "](http" not in unfenced and "**bold**" not in unfenced
    assert "@everyone" not in said and f"<@{world.ann.id}>" not in said and "\u202e" not in said


@pytest.mark.slow
async def test_a_bot_that_was_killed_goes_on_where_it_was(chosen: Settings, world: World) -> None:
    """The bot as a process of its own: `python -m bot serve`, and SIGKILL while its run trains."""
    chosen.data.mkdir(parents=True, exist_ok=True)
    room = House(world)
    async with served(chosen, world) as bot:
        live = await room.starts(max_steps=5000)
        await room.sees("Step")
        bot.kill()
        await bot.wait()
    await world.wire.kick()
    missed = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> /finetune dop")
    async with served(chosen, world):
        await room.sees("Did you mean `dpo`?")
        assert missed.id in world.reacted()
        await world.presses(live, "Cancel")
        await room.ends("Run 1 cancelled")
    assert len([message for message in world.from_bot() if plain(message).startswith("### Run 1 ·")]) == 1
    await eventually(lambda: not trainers(chosen.runs))


@pytest.mark.slow
async def test_a_message_that_was_deleted_stops_nothing(chosen: Settings, world: World, make: Make) -> None:
    async with house(chosen, make(), world) as room:
        await world.is_online()
        dropped = await world.drops("facts.csv", FACTS)
        offer = await room.sees("shall I use facts.csv")
        world.backend.delete_message(world.general.id, dropped.id)
        await world.presses(offer, "Use this file")
        await room.sees("no longer there")
        live = await room.starts()
        world.backend.delete_message(live.channel_id, live.id)
        await room.ends()
