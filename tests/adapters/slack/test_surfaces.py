"""What Slack offers beside messages: forms behind buttons, the Home tab, files that are asked about first."""

import asyncio
import random

import pytest

from adapters.chat.slack.surfaces.fields import packed, unpacked
from bot.chat import Button, Command, Field, Lapsed, Message, Place, Press, Table, TryLater, Upload
from engine.refusal import Refusal
from tests.adapters.slack import lines
from tests.adapters.slack.ears import ears
from tests.contract.chat import eventually
from tests.twins.slack import limits
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin

GAPS = Button(
    "Fill the gap",
    "fill:abc",
    form=(Field("row-3", "Row 3: text", "old"), Field("column", "Which column?", "b", ("a", "b"))),
)


# ---- forms behind buttons


async def offered(there: Twin, hands: Hands) -> Place:
    """A message with a button that has a form; said by a bot that was restarted since."""
    place = Place(f"T1/C1/{hands.says('U1', 'C1', 'a thread')}")
    await lines.chat(there).post(place, Message("k", "One cell is empty.", buttons=(GAPS,)))
    return place


@pytest.mark.parametrize("line", lines.LINES)
async def test_a_button_with_a_form_opens_it_and_comes_back_with_the_values(
    there: Twin, hands: Hands, line: str
) -> None:
    place = await offered(there, hands)
    async with ears(lines.chat(there, line)) as those:
        hands.press_label("U2", hands.sees("U2")[0], "Fill the gap")
        await eventually(lambda: bool(there.at.views))
        hands.submits("U2", next(iter(there.at.views.values())), {"row-3": {"value": "new"}})
        (incoming,) = [one for one in await those.hears(1) if isinstance(one.what, Press)]
    assert incoming.what == Press("fill:abc", {"row-3": "new", "column": "b"})
    assert (incoming.place, incoming.person.id) == (place, "U2")


async def test_what_a_form_was_refused_for_stands_at_its_field(there: Twin, hands: Hands) -> None:
    await offered(there, hands)
    async with ears(lines.chat(there)) as those:
        await eventually(lambda: bool(there.delivery.sockets))
        hands.press_label("U2", hands.sees("U2")[0], "Fill the gap")
        await eventually(lambda: bool(there.at.views))
        those.refusal = Refusal("There is no such column.", "column")
        hands.submits("U2", next(iter(there.at.views.values())), {})
        await eventually(lambda: bool(there.at.form_errors))
    assert there.at.form_errors == [{"column": "There is no such column."}]


async def test_a_click_that_slack_no_longer_opens_a_form_for_is_answered(there: Twin, hands: Hands) -> None:
    await offered(there, hands)
    there.at.faults["views.open"].append("expired_trigger_id")
    async with ears(lines.chat(there)):
        hands.press_label("U1", hands.sees("U1")[0], "Fill the gap")
        await eventually(lambda: any("press it once more" in shown.text for shown in hands.sees("U1")))
    assert not any("press it once more" in shown.text for shown in hands.sees("U2"))


async def test_a_slash_command_whose_form_came_too_late_is_answered(there: Twin, hands: Hands) -> None:
    there.at.faults["views.open"].append("expired_trigger_id")
    async with ears(lines.chat(there)):
        hands.slash("U1", "C1", "dpo")
        await eventually(lambda: any("press it once more" in shown.text for shown in hands.sees("U1")))


def test_a_form_too_large_for_a_button_loses_what_it_was_filled_with_first() -> None:
    noise = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4000))
    button = Button("Fill", "fill:1", form=(Field("a", "A", noise), Field("b", "B", "", ("x", "y"))))
    value = packed(button)
    assert len(value) <= 2000
    assert unpacked(value) == Button("Fill", "fill:1", form=(Field("a", "A"), Field("b", "B", "", ("x", "y"))))
    assert unpacked("start:1") is None
    assert unpacked("form~broken") is None


def test_forty_columns_fit_the_form_behind_a_button() -> None:
    columns = tuple(f"column number {n}" for n in range(40))
    form = tuple(Field(need, f"Which column is {need}?", columns[0], columns) for need in ("prompt", "text", "label"))
    assert unpacked(packed(Button("Columns", "map:1", form=form))) == Button("Columns", "map:1", form=form)


# ---- the Home tab


async def test_the_home_tab_shows_runs_queue_and_models_as_they_are_answered(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    async with ears(chat) as those:
        hands.opens_home("U1")
        asked = await those.hears(3)
        for incoming in asked:
            assert isinstance(incoming.what, Command)
            rows = ((f"acme/{incoming.what.text}", "run 1"),)
            await chat.post(incoming.place, Message(incoming.key, "Here:", table=Table(("Model", "Run"), rows)))
    assert [incoming.what for incoming in asked] == [Command("list"), Command("queue"), Command("models")]
    shown = limits.texts(there.at.homes["U1"]["blocks"])
    for words in ("Your runs", "acme/list", "The queue", "acme/queue", "The team's models", "acme/models"):
        assert words in shown


async def test_a_button_of_the_home_tab_is_answered_in_direct_messages(there: Twin, hands: Hands) -> None:
    chat = lines.chat(there)
    async with ears(chat) as those:
        hands.opens_home("U1")
        await those.hears(3)
        hands.presses_at_home("U1", {"action_id": "say-help", "value": "say:help"})
        incoming = (await those.hears(4))[-1]
        assert (incoming.what, incoming.place) == (Command("help"), Place("T1/D1"))
        hands.presses_at_home("U1", {"action_id": "open-form"})
        await eventually(lambda: bool(there.at.views))


# ---- files that are asked about first


async def test_with_drops_on_ask_a_file_waits_for_a_press(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there, drops="ask")) as those:
        ts = hands.drops("U1", "C1", "pairs.csv", b"prompt,text\n")
        hands.drops("U1", "C1", "holiday.png", b"png")
        await eventually(lambda: any("Check it" in shown.buttons for shown in hands.sees("U1")))
        assert those.heard == []
        asked = next(shown for shown in hands.sees("U1") if "Check it" in shown.buttons)
        for user in ("U1", "U2"):
            hands.press_label(user, asked, "Check it")
        (incoming,) = await those.hears(1)
        await eventually(lambda: len([told for told, _ in there.delivery.told if told["type"] == "block_actions"]) == 2)
    assert incoming.place == Place(f"T1/C1/{ts}") and isinstance(incoming.what, Upload)
    assert len(those.heard) == 1
    assert not any("holiday" in shown.all for shown in hands.sees("U1"))


async def test_with_drops_off_only_files_that_are_meant_for_the_bot_are_taken(there: Twin, hands: Hands) -> None:
    async with ears(lines.chat(there, drops="off")) as those:
        hands.drops("U1", "C1", "pairs.csv", b"prompt,text\n")
        hands.drops("U1", "C1", "meant.csv", b"prompt,text\n", text="<@U0BOT> sft")
        hands.drops("U1", "D1", "direct.csv", b"prompt,text\n")
        heard = await those.hears(3)
    names = [incoming.what.name for incoming in heard if isinstance(incoming.what, Upload)]
    assert names == ["meant.csv", "direct.csv"]
    assert hands.sees("U1") == []


# ---- a token that is taken away


async def test_a_token_that_was_taken_away_ends_all_calls_and_says_so(there: Twin) -> None:
    chat = lines.chat(there)
    listening = asyncio.ensure_future(chat.listen(lambda _: asyncio.sleep(0), ""))
    await eventually(lambda: bool(there.delivery.sockets))
    there.at.bot_token = "xoxb-another"
    with pytest.raises(TryLater):
        await chat.post(Place("T1/C1"), Message("k", "x"))
    with pytest.raises(Lapsed, match="SLACK_BOT_TOKEN"):
        await listening
    calls = len(there.at.calls)
    for _ in range(50):
        with pytest.raises(TryLater):
            await chat.post(Place("T1/C1"), Message("k", "x"))
    assert len(there.at.calls) == calls
