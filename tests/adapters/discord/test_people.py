"""What people do on Discord, and what reaches the handler of it."""

import asyncio
from pathlib import Path
from typing import Any

import discord
import pytest

from bot.chat import Command, Gone, Incoming, Place, Upload
from engine.refusal import Refusal
from tests.adapters.discord.conftest import Make, deny, ignore
from tests.contract.chat import eventually, heard, listening
from tests.twins.discord import Fault
from tests.twins.discord_world import World, plain


async def test_a_form_becomes_the_words_that_would_have_been_typed(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        await world.ann.slash(
            world.general, "finetune dpo", file=("p.csv", b"abc"), epochs=2.0, lora=False, prompt="my question",
            more="seed=7",
        )  # fmt: skip
        await eventually(lambda: len(got) == 2)
    file, command = got
    assert command.what == Command('dpo epochs=2 lora=off prompt="my question" seed=7')
    assert isinstance(file.what, Upload) and (file.what.name, file.what.size) == ("p.csv", 3)
    assert file.place == command.place


async def test_a_commands_file_is_fetched_after_a_restart(world: World, make: Make, tmp_path: Path) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        await world.ann.slash(world.general, "finetune sft", file=("p.csv", b"abc"))
        await eventually(lambda: len(got) == 2)
    assert isinstance(got[0].what, Upload)
    await make().download(got[0].what, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"abc"


async def test_what_is_typed_finds_base_models(world: World, make: Make) -> None:
    async with listening(make(), ignore):
        await world.is_online()
        asked = asyncio.ensure_future(world.ann.autocomplete(world.general, "finetune sft", "model", "smol"))
        await asyncio.sleep(0.3)
        await asked
    (number,) = world.backend.interactions
    choices = world.backend.interactions[number].autocomplete_choices
    assert choices and all("smol" in choice["value"].lower() for choice in choices)


async def test_who_points_at_anothers_file_makes_the_bot_ask_its_uploader(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(drops="off"), handler):
        await world.is_online()
        dropped = await world.drops("pairs.csv", b"text\nhi\n")
        handle = pointed(world, dropped)
        await world.bob.context_menu(world.general, "Fine-tune this file", handle)
        offer = await world.until("shall I use pairs.csv")
        assert offer.channel_id == dropped.id and not got
        await world.ann.context_menu(world.general, "Fine-tune this file", handle)
        await eventually(lambda: bool(got))
    assert got[0].what == world.upload(dropped)
    assert got[0].place == Place(f"{world.general.id}/{dropped.id}")


def pointed(world: World, message: discord.Message) -> discord.Message:
    world.env._message_states.add(message._state)
    return message


async def test_drops_are_taken_at_once_where_the_operator_took_that_on(world: World, make: Make) -> None:
    dropped = await world.drops("pairs.csv", b"text\nhi\n")
    await world.drops("holiday.png", b"x")
    (incoming,) = await heard(make(drops="on"), 1)
    assert incoming.what == world.upload(dropped)


async def test_drops_in_other_channels_than_the_chosen_are_left_alone(world: World, make: Make) -> None:
    await world.drops("pairs.csv", b"text\nhi\n")
    async with listening(make(channels=str(world.team.id)), ignore):
        await world.is_online()
        await world.ann.send(world.team, "", attachments=[("other.csv", b"text\nhi\n")])
        await world.until("shall I use other.csv")
    assert len(world.from_bot()) == 1


async def test_an_uploader_is_told_which_permission_the_bot_lacks_there(world: World, make: Make) -> None:
    deny(world, "create_public_threads")
    async with listening(make(), ignore):
        await world.is_online()
        await world.drops("pairs.csv", b"text\nhi\n")
        said = await world.until("I lack the permission Create Public Threads")
    assert world.can_see(world.ann, said) and not world.can_see(world.bob, said)


async def test_a_file_is_never_read_beyond_its_size(world: World, make: Make, tmp_path: Path) -> None:
    dropped = world.upload(await world.drops("pairs.csv", b"x" * 100))
    with pytest.raises(Gone):
        await make().download(Upload(dropped.id, dropped.name, 99), tmp_path / "file")


async def test_an_address_that_ended_is_a_file_that_is_gone(world: World, make: Make, tmp_path: Path) -> None:
    dropped = await world.drops("pairs.csv", b"text\n")
    world.wire.ended_addresses.add("/" + dropped.attachments[0].url.split("/", 3)[3])
    with pytest.raises(Gone):
        await make().download(world.upload(dropped), tmp_path / "file")


async def test_roles_are_groups(world: World, make: Make) -> None:
    groups = await make().groups(world.person(world.ann))
    assert groups == {str(world.guild.id), str(world.trainers.id)}


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_form_is_read_even_by_a_bot_that_restarted_meanwhile(world: World, make: Make, restarts: bool) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async def fill(shown: Any) -> None:
        values = {"method": ["dpo"], "file": ("p.csv", b"abc"), "model": "org/name", "more": "epochs=2"}
        await world.ann.submit_modal(shown, values)
        await eventually(lambda: len(got) == 2)

    async with listening(make(), handler):
        await world.is_online()
        shown = await world.ann.slash(world.general, "finetune form")
        await eventually(lambda: shown.modal is not None)
        if not restarts:
            await fill(shown)
    if restarts:
        await world.wire.kick()
        async with listening(make(), handler):
            await world.is_online()
            await fill(shown)
    assert got[1].what == Command("dpo model=org/name epochs=2")
    assert isinstance(got[0].what, Upload) and got[0].what.size == 3


async def test_who_asks_is_told_which_permission_the_bot_lacks_for_the_thread(world: World, make: Make) -> None:
    deny(world, "create_public_threads")
    async with listening(make(), ignore):
        await world.is_online()
        await world.ann.slash(world.general, "finetune sft", file=("p.csv", b"abc"))
        await world.until("I lack the permission Create Public Threads")
    assert any("Create Public Threads" in text for text in world.private())


async def test_a_token_that_was_typed_by_mistake_is_not_repeated(world: World, make: Make) -> None:
    token = "hf_" + "abcDEF0123" * 3
    async with listening(make(), ignore):
        await world.is_online()
        await world.ann.slash(world.general, "finetune sft", model=token, file=("p.csv", b"abc"))
        await world.until("/finetune sft")
    said = [plain(message) for message in world.from_bot()]
    assert not [text for text in said if token in text]


async def test_a_direct_message_is_answered_directly(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> Refusal:
        got.append(incoming)
        return Refusal("did you mean dpo?")

    async with listening(make(), handler):
        await world.is_online()
        await world.ann.send_dm("dop")
        said = await world.until("did you mean dpo?")
    assert (got[0].what, got[0].place) == (Command("dop"), Place(f"@{world.ann.id}"))
    assert world.can_see(world.ann, said) and not world.can_see(world.bob, said)


async def test_a_mention_with_a_file_and_words_is_both(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        dropped = await world.drops("p.csv", b"abc", f"<@{world.backend.bot_user.id}> sft epochs=2")
        await world.presses(await world.until("shall I use p.csv"), "Use this file")
        await eventually(lambda: len(got) == 2)
    assert [each.what for each in got] == [Command("sft epochs=2"), world.upload(dropped)]
    assert got[0].place == got[1].place


async def test_who_presses_while_discord_is_in_trouble_is_told_to_try_again(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        await world.drops("pairs.csv", b"text\nhi\n")
        offer = await world.until("shall I use pairs.csv")
        world.wire.faults.append(Fault(r"GET /channels/\d+/messages/\d+$", status=503))
        await world.presses(offer, "Use this file")
        await world.until("try it again in a minute")
        assert not got
        await world.presses(offer, "Use this file")
        await eventually(lambda: bool(got))
