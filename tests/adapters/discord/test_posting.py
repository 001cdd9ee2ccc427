"""What the adapter posts, and how it stands what Discord does to that: lost answers, limits, lacking permissions."""

import asyncio
from pathlib import Path

import pytest

from adapters.chat.discord import chat as connection
from bot.chat import Button, Denied, Gone, Incoming, Message, Place, Press, TryLater, Upload
from tests.adapters.discord.conftest import Make, deny, ignore
from tests.contract.chat import eventually, listening
from tests.twins.discord import Fault
from tests.twins.discord_rates import Rates
from tests.twins.discord_world import World, buttons, plain, walk


async def thread(world: World) -> Place:
    root = await world.ann.send(world.general, "let us begin")
    return Place(f"{world.general.id}/{root.id}")


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


async def test_the_permission_that_a_file_wants_is_named(world: World, make: Make) -> None:
    chat = make()
    deny(world, "attach_files")
    lacking = {"message": "Missing Permissions", "code": 50013}
    world.wire.faults.append(Fault(f"POST /channels/{world.general.id}/messages", 403, lacking))
    async with listening(chat, ignore):
        await world.is_online()
        with pytest.raises(Denied) as denied:
            await chat.post(Place(str(world.general.id)), Message("k", "hello"))
    assert denied.value.permission == "Attach Files"


async def test_the_permission_that_reading_a_file_wants_is_named(world: World, make: Make, tmp_path: Path) -> None:
    chat = make()
    sent = await world.ann.send(world.general, "", attachments=[("rows.csv", b"text\na\n")])
    upload = Upload(f"{world.general.id}/{sent.id}/{sent.attachments[0].id}", "rows.csv", 7)
    deny(world, "read_message_history")
    async with listening(chat, ignore):
        await world.is_online()
        with pytest.raises(Denied) as denied:
            await chat.download(upload, tmp_path / "rows.csv")
    assert denied.value.permission == "Read Message History"


async def test_an_edit_that_discord_puts_off_is_tried_later(world: World, make: Make) -> None:
    chat = make()
    posted = await chat.post(Place(str(world.general.id)), Message("k", "old"))
    slow = {"message": "Maximum number of edits to messages older than 1 hour reached", "code": 30046}
    world.wire.faults.append(Fault("PATCH ", 400, slow))
    with pytest.raises(TryLater) as wait:
        await chat.edit(posted, Message("k", "new"))
    assert wait.value.seconds > 5


async def test_old_messages_of_a_channel_are_edited_three_times_in_six_seconds(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, place = make(), Place(str(world.general.id))
    posted = [await chat.post(place, Message(key, "first")) for key in "abcd"]
    monkeypatch.setattr(connection, "OLD_S", -3600.0)  # all messages are as if from more than an hour ago
    monkeypatch.setattr(connection, "OLD_WINDOW_S", 600.0)  # however slow the machine is
    for number in posted[:3]:
        await chat.edit(number, Message("k", "second"))
    with pytest.raises(TryLater) as wait:
        await chat.edit(posted[3], Message("d", "second"))
    assert 0 < wait.value.seconds <= 600
    elsewhere = await chat.post(Place(str(world.team.id)), Message("e", "first"))
    await chat.edit(elsewhere, Message("e", "second"))
    assert [plain(message) for message in world.from_bot()] == ["second"] * 3 + ["first", "second"]


async def test_one_old_message_is_edited_twice_a_minute_at_most(
    world: World, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = make()
    posted = await chat.post(Place(str(world.general.id)), Message("k", "first"))
    monkeypatch.setattr(connection, "OLD_S", -3600.0)
    monkeypatch.setattr(connection, "OLD_PACE_S", 600.0)
    await chat.edit(posted, Message("k", "second"))
    with pytest.raises(TryLater):
        await chat.edit(posted, Message("k", "third"))


@pytest.mark.parametrize("has_headers", [True, False])
async def test_a_rate_limit_is_kept_where_it_is_told_and_waited_for_where_it_is_met(
    world: World, make: Make, has_headers: bool
) -> None:
    chat = make()
    world.wire.rates = rates = Rates(messages=(2, 0.3), has_headers=has_headers)
    for number in range(5):
        await chat.post(Place(str(world.general.id)), Message(str(number), str(number)))
    assert [plain(message) for message in world.from_bot()] == list("01234")
    assert bool(rates.refused) is not has_headers


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


async def test_a_platform_in_trouble_is_tried_later(world: World, make: Make) -> None:
    world.wire.faults.append(Fault("POST ", 503))
    with pytest.raises(TryLater):
        await make().post(Place(str(world.general.id)), Message("k", "hello"))


async def test_what_is_said_long_after_a_command_needs_no_interaction(world: World, make: Make) -> None:
    """Fifteen minutes later Discord no longer knows the interaction: answers and edits go to the channel."""
    chat = make()
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(chat, handler):
        await world.is_online()
        await world.ann.slash(world.general, "finetune sft", epochs=2.0)
        await eventually(lambda: bool(got) and all(each.responded for each in world.backend.interactions.values()))
        expired = {"message": "Unknown Webhook", "code": 10015}
        world.wire.faults.append(Fault(r"\w+ /(webhooks|interactions)/", 404, expired, times=999))
        posted = await chat.post(got[0].place, Message("late", "queued"))
        await chat.edit(posted, Message("late", "trained"))
        await chat.post(got[0].place, Message("mine", "only for ann", only_for=got[0].person))
    said = [plain(message) for message in world.from_bot()]
    assert said.count("trained") == 1 and "queued" not in said and "only for ann" in said
