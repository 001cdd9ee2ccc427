"""The forms behind buttons: opened by a press, read when they come back, within Discord's limits."""

from typing import Any

import pytest

from adapters.chat.discord.surfaces import fields
from bot.chat import Button, Field, Incoming, Message, Place, Press
from tests.adapters.discord.conftest import Make
from tests.contract.chat import eventually, listening
from tests.twins.discord_world import World, plain

COLUMNS = Button(
    "Columns",
    "map:7",
    form=(Field("prompt", "Which column is the prompt?", "b", ("a", "b")), Field("row-3", "Row 3: text", "old")),
)
QUESTION = Button("Ask", "ask:1", form=(Field("question", "Your question", is_long=True),))


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_button_with_a_form_opens_it_and_its_answer_is_the_press(
    world: World, make: Make, restarts: bool
) -> None:
    got: list[Incoming] = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming)

    async def fill(shown: Any) -> None:
        await world.ann.submit_modal(shown, {"prompt": ["a"], "row-3": "new"})
        await eventually(lambda: len(got) == 1)

    place = Place(str(world.general.id))
    async with listening(make(), handler):
        await world.is_online()
        await make().post(place, Message("k", "say which", buttons=(COLUMNS,)))
        shown = await world.presses(await world.until("say which"), "Columns")
        await eventually(lambda: shown.modal is not None)
        assert not got, "opening a form is no press yet"
        if not restarts:
            await fill(shown)
    if restarts:
        await world.wire.kick()
        async with listening(make(), handler):
            await world.is_online()
            await fill(shown)
    (incoming,) = got
    assert incoming.what == Press("map:7", {"prompt": "a", "row-3": "new"})
    assert (incoming.place, incoming.person) == (place, world.person(world.ann))


@pytest.mark.parametrize("button", [COLUMNS, QUESTION])
def test_a_form_is_kept_as_it_was(button: Button) -> None:
    assert fields.unpacked(fields.packed(button)) == button
    assert fields.unpacked(button.action) is None


async def test_a_form_stays_within_discords_limits() -> None:
    long = "x" * 5000
    many = tuple(f"{number} {long}" for number in range(40))
    form = (*(Field(f"{number}", long, long) for number in range(9)), Field("c", long, many[0], many))
    button = fields.unpacked(fields.packed(Button(long, "a:1", form=form[-6:])))
    assert button
    shown = fields.modal(button, "id").to_dict()
    assert len(shown["title"]) <= 45 and len(shown["components"]) <= 5
    for label in shown["components"]:
        assert len(label["label"]) <= 45 and len(label["component"].get("value", "")) <= 4000
    choice = fields.modal(Button("b", "a", form=form[-1:]), "id").to_dict()["components"][0]["component"]
    assert len(choice["options"]) == 25
    assert all(len(option["label"]) <= 100 and len(option["value"]) <= 100 for option in choice["options"])


async def test_a_message_that_is_to_be_silent_notifies_nobody(world: World, make: Make) -> None:
    chat, place = make(), Place(str(world.general.id))
    ann = (world.person(world.ann),)
    await chat.post(place, Message("a", "routine", mentions=ann, is_silent=True))
    await chat.post(place, Message("b", "your turn", mentions=ann))
    silent = {plain(message).split("\n")[-1]: bool(message.flags & 1 << 12) for message in world.from_bot()}
    assert silent == {"routine": True, "your turn": False}
