"""How the adapter stands what Discord does to it: lost answers, limits, closed doors, missing permissions."""

import asyncio
from pathlib import Path
from typing import Any

import discord
import pytest
from pydantic import SecretStr

from bot.chat import Button, Command, Denied, Gone, Incoming, Message, Place, Press, TryLater, Upload
from engine.refusal import Refusal
from tests.adapters.discord.conftest import Make
from tests.contract.chat import eventually, heard, listening
from tests.twins.discord import Fault
from tests.twins.discord_world import World, buttons, plain, walk


async def thread(world: World) -> Place:
    root = await world.ann.send(world.general, "let us begin")
    return Place(f"{world.general.id}/{root.id}")


# ---- posting


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_post_whose_answer_was_lost_is_found_again(world: World, make: Make, restarts: bool) -> None:
    place, chat = await thread(world), make()
    await chat.post(place, Message("first", "first"))
    world.wire.faults.append(Fault(r"POST /channels/\d+/messages$", after=True, times=9))
    with pytest.raises(TryLater):
        await chat.post(place, Message("k", "hello"))
    world.wire.faults.clear()
    world.wire.nonces.clear()
    posted = await (make() if restarts else chat).post(place, Message("k", "hello"))
    assert posted.endswith(str(world.from_bot()[-1].id))
    assert [plain(message) for message in world.from_bot()].count("hello") == 1


async def test_two_who_post_to_a_new_thread_open_it_once(world: World, make: Make) -> None:
    place, chat = await thread(world), make()
    await asyncio.gather(*(chat.post(place, Message(key, key)) for key in ("a", "b")))
    assert len(world.backend.guilds[world.guild.id].thread_ids) == 1
    assert sorted(map(plain, world.from_bot())) == ["a", "b"]


async def test_a_message_in_an_archived_thread_can_be_edited(world: World, make: Make) -> None:
    place, chat = await thread(world), make()
    posted = await chat.post(place, Message("k", "old"))
    metadata = world.backend.get_channel(int(posted.split("/")[0])).thread_metadata
    assert metadata
    metadata.archived = True
    await chat.edit(posted, Message("k", "new"))
    assert not metadata.archived and plain(world.from_bot()[0]) == "new"


async def test_a_message_that_was_deleted_is_gone(world: World, make: Make) -> None:
    chat = make()
    posted = await chat.post(Place(str(world.general.id)), Message("k", "old"))
    world.backend.delete_message(*map(int, posted.split("/")))
    with pytest.raises(Gone):
        await chat.edit(posted, Message("k", "new"))


@pytest.mark.parametrize(
    ("lacks", "is_in_thread", "says"),
    [
        ("send_messages", False, "Send Messages"),
        ("create_public_threads", True, "Create Public Threads"),
        ("send_messages_in_threads", True, "Send Messages in Threads"),
    ],
)
async def test_the_permission_that_is_lacking_is_named(
    world: World, make: Make, lacks: str, is_in_thread: bool, says: str
) -> None:
    place, chat = await thread(world), make()
    deny(world, lacks)
    async with listening(chat, ignore):
        await world.is_online()
        with pytest.raises(Denied) as denied:
            await chat.post(place if is_in_thread else Place(str(world.general.id)), Message("k", "hello"))
    assert denied.value.permission == says


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


async def test_an_edit_that_discord_puts_off_is_tried_later(world: World, make: Make) -> None:
    chat = make()
    posted = await chat.post(Place(str(world.general.id)), Message("k", "old"))
    slow = {"message": "Maximum number of edits to messages older than 1 hour reached", "code": 30046}
    world.wire.faults.append(Fault("PATCH ", 400, slow))
    with pytest.raises(TryLater) as wait:
        await chat.edit(posted, Message("k", "new"))
    assert wait.value.seconds > 5


async def test_a_rate_limit_is_waited_for(world: World, make: Make) -> None:
    chat = make()
    world.wire.limit = (2, 0.3)
    for number in range(5):
        await chat.post(Place(str(world.general.id)), Message(str(number), str(number)))
    assert [plain(message) for message in world.from_bot()] == list("01234")


async def test_only_those_whom_a_message_mentions_are_pinged(world: World, make: Make) -> None:
    text = f"@everyone <@{world.bob.id}> <@&{world.trainers.id}>"
    message = Message("k", text, title=text, code=text, fields=((text, text),), mentions=(world.person(world.ann),))
    await make().post(Place(str(world.general.id)), message)
    (shown,) = world.from_bot()
    assert shown.ping_user_ids == [world.ann.id] and not shown.ping_role_ids and not shown.mention_everyone


async def test_what_is_too_long_goes_along_as_a_file(world: World, make: Make) -> None:
    await make().post(Place(str(world.general.id)), Message("k", "short", code="x" * 5000))
    (shown,) = world.from_bot()
    assert [file["filename"] for file in shown.attachments] == ["code.txt"]
    assert world.backend.cdn.get(shown.attachments[0]["url"]) == b"x" * 5000


async def test_a_button_with_a_long_action_works_after_a_restart(world: World, make: Make) -> None:
    action = "again:" + "x" * 200
    await make().post(Place(str(world.general.id)), Message("k", "?", buttons=(Button("Go", action),)))
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        result = await world.presses(world.from_bot()[0], "Go")
        await eventually(lambda: bool(got) and result.acknowledged)
    assert got[0].what == Press(action) and got[0].place == Place(str(world.general.id))


# ---- being there


async def test_a_gateway_that_cannot_be_reached_at_first_is_tried_again(world: World, make: Make) -> None:
    world.wire.closed_doors = 2
    sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
    (incoming,) = await heard(make(), 1)
    assert incoming.key == f"discord/{sent.id}" and world.wire.closed_doors == 0


async def test_a_token_that_discord_does_not_know_is_refused_by_its_setting(world: World, make: Make) -> None:
    with pytest.raises(Refusal, match="DISCORD_TOKEN"):
        await make(token=SecretStr("wrong")).listen(ignore, "")


async def test_what_was_said_while_the_session_was_lost_is_read_then(world: World, make: Make) -> None:
    got: list[str] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming.key)

    async with listening(make(), handler):
        await world.is_online()
        for forget in (False, True):
            await world.wire.kick(forget=forget)
            sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
            await eventually(lambda sent=sent: got[-1:] == [f"discord/{sent.id}"])  # type: ignore[misc]
    assert len(got) == 2
    assert world.wire.identifies == 2, "the first time the session was resumed"


async def test_something_that_cannot_be_read_does_not_end_the_bot(world: World, make: Make) -> None:
    got: list[str] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming.key)

    async with listening(make(), handler):
        await world.is_online()
        (session,) = world.wire.sessions
        world.wire._send(session, "MESSAGE_CREATE", {"nothing": "that a message has"})
        sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
        await eventually(lambda: got == [f"discord/{sent.id}"])


async def test_the_commands_are_put_once(world: World, make: Make) -> None:
    for _ in range(2):
        async with listening(make(), ignore):
            await world.is_online()
        await world.wire.kick()
    assert len([name for name in world.wire.seen if name.startswith("PUT /applications")]) == 1


async def test_without_the_content_intent_the_bot_serves_and_says_what_to_do(world: World, make: Make) -> None:
    world.wire.has_content_intent = False
    async with listening(make(), ignore):
        await world.is_online()
        await world.drops("pairs.csv", b"text\nhi\n")
        await world.ann.slash(world.general, "finetune sft", epochs=2.0)
        await world.until("I do not see dropped files here")
        await world.drops("called.csv", b"text\nhi\n", f"<@{world.backend.bot_user.id}>")
        await world.until("shall I use called.csv")
    assert not [message for message in world.from_bot() if "pairs.csv" in plain(message)]


# ---- what people do


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


async def test_all_parts_of_a_message_are_shown(world: World, make: Make, tmp_path: Path) -> None:
    from bot.chat import File, Table

    (tmp_path / "a b.png").write_bytes(b"png")
    (tmp_path / "log.txt").write_text("log")
    files = (File("a b.png", tmp_path / "a b.png"), File("log.txt", tmp_path / "log.txt"))
    table = Table(("Line", "What"), (("3", "empty cell"),), "Issues")
    message = Message("k", "All is well.", "Run 1", (("Rows", "12"),), table, "code", (Button("Go", "go"),), files)
    await make().post(Place(str(world.general.id)), message)
    (shown,) = world.from_bot()
    for part in ("### Run 1", "All is well.", "Rows** 12", "Line  What\n3     empty cell", "```\ncode\n```"):
        assert part in plain(shown)
    assert buttons(shown) == ["Go"] and [file["filename"] for file in shown.attachments] == ["a_b.png", "log.txt"]
    assert {12, 13} <= {part["type"] for part in walk(shown.components)}


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
