"""Rows that are pasted into a message are message content: nothing of them is kept before their author says so."""

from bot.chat import Command, Incoming, Place
from tests.adapters.discord.conftest import Make
from tests.contract.chat import eventually, listening
from tests.twins.discord_world import World, buttons, plain

ROWS = "```csv\ntext\nhello there\n```"


async def test_pasted_rows_are_handed_over_only_when_their_author_says_so(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    chat = make()
    async with listening(chat, handler):
        await world.is_online()
        sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> sft {ROWS}")
        offer = await world.until("shall I use the rows in your message?")
        assert offer.channel_id == sent.id, "it is asked in a thread on the message"
        await world.presses(offer, "Use these rows", world.bob)
        await world.until("Only ann, whose data it is, can say so.")
        assert not got
        assert not [row for row in chat.kept.db.execute("SELECT * FROM kept") if "hello there" in str(row)]
        await world.presses(offer, "Use these rows")
        await eventually(lambda: bool(got))
        await eventually(lambda: "ann lets me use the rows" in plain(offer))
    (incoming,) = got
    assert incoming.what == Command(f"sft {ROWS}") and incoming.key == f"discord/{sent.id}"
    assert incoming.place == Place(f"{world.general.id}/{sent.id}") and not buttons(offer)


async def test_rows_of_a_message_that_was_deleted_are_not_there_any_more(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        sent = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> check {ROWS}")
        offer = await world.until("shall I use the rows")
        world.backend.delete_message(world.general.id, sent.id)
        await world.presses(offer, "Use these rows")
        await world.until("no longer there")
    assert not got


async def test_where_the_operator_took_that_on_rows_are_taken_at_once(world: World, make: Make) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(drops="on"), handler):
        await world.is_online()
        await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> check {ROWS}")
        await eventually(lambda: bool(got))
    assert got[0].what == Command(f"check {ROWS}")


async def test_a_dataset_of_the_hub_is_no_content_of_a_message(world: World, make: Make) -> None:
    """A name is a command: it is taken at once, and the rows come from the Hub."""
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async with listening(make(), handler):
        await world.is_online()
        await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> check hf:org/name")
        await eventually(lambda: bool(got))
        bare = await world.ann.send(world.general, "hf:org/name is a nice one, and so is this:\n" + ROWS)
        last = await world.ann.send(world.general, f"<@{world.backend.bot_user.id}> help")
        await eventually(lambda: len(got) == 2)
    assert [each.what for each in got] == [Command("check hf:org/name"), Command("help")]
    assert got[1].key == f"discord/{last.id}"
    assert bare.id not in {message.channel_id for message in world.from_bot()}, "who does not call the bot is not heard"
