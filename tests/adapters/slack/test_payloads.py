"""Payloads as Slack's reference states them are read rightly, and the twin says nothing that is not in them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.request import internals as bolt
from slack_bolt.request import payload_utils as judged
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from adapters.chat.slack import reading
from adapters.chat.slack.blocks import blocks
from adapters.chat.slack.reading import Bot, incomings, press, slash
from adapters.chat.slack.surfaces import fields, forms
from bot.chat import Button, Command, Field, Message, Person, Place, Press, Table, Upload
from tests.adapters.slack import lines
from tests.adapters.slack.ears import ears
from tests.contract.chat import eventually
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin

FOLDER = Path(__file__).parents[2] / "payloads" / "slack"
ME = Bot("T061EG9R6", "U0BOT", "threadtune", "B0BOT")
ANN = Person("U1", "ann")
THREAD = Place("T061EG9R6/C1/1776399999.000100")


def payload(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return loaded


def heard(name: str) -> list[tuple[Place, object]]:
    event = payload(name)["event"]
    return [(incoming.place, incoming.what) for incoming in incomings(event, event["channel"], ME, ANN)]


def test_words_in_a_thread_are_read_without_slacks_marks() -> None:
    assert heard("message") == [(THREAD, Command("dpo epochs=2 model=acme.example"))]


def test_a_dropped_file_is_read_with_its_name_and_size() -> None:
    assert heard("file-share") == [(Place("T061EG9R6/C1/1776400001.000100"), Upload("F0FILE", "pairs.csv", 812))]


def test_what_an_independent_slack_sends_is_read_alike() -> None:
    ((_, words),) = heard("peer-message")
    ((_, file),) = heard("peer-file")
    assert words == Command("list")
    assert isinstance(file, Upload) and (file.name, file.size) == ("pairs.csv", 16)


def test_a_slash_command_is_read_for_who_typed_it_alone() -> None:
    incoming = slash(payload("slash"), ME, ANN)
    assert (incoming.what, incoming.place) == (Command("status 7"), Place("T061EG9R6/C1/@U1"))


def test_a_button_is_read_in_its_thread() -> None:
    incoming = press(payload("button"), ME, ANN)
    assert (incoming.what, incoming.place) == (Press("start:abc"), THREAD)


def test_a_form_behind_a_button_is_read_with_its_place() -> None:
    assert fields.answered(payload("form")["view"]) == (Press("ask:7", {"question": "What is a run?"}), THREAD.id)


def test_messages_of_others_bots_and_of_slack_are_not_for_us() -> None:
    event = payload("message")["event"]
    assert reading.is_from_a_person(event, ME)
    for more in ({"bot_id": "B9"}, {"subtype": "channel_join"}, {"user": "U0BOT"}, {"subtype": "message_changed"}):
        assert not reading.is_from_a_person({**event, **more}, ME)


# ---- what Slack's own library makes of them

JUDGES = {
    "message": judged.is_event, "file-share": judged.is_event, "file-shared": judged.is_event,
    "home-opened": judged.is_event, "member-joined": judged.is_event, "peer-message": judged.is_event,
    "peer-file": judged.is_event, "foreign-file": judged.is_event, "slash": judged.is_slash_command,
    "button": judged.is_block_actions, "form": judged.is_view_submission, "shortcut": judged.is_message_shortcut,
    "suggestion": judged.is_block_suggestion,
}  # fmt: skip


def test_each_payload_is_what_bolt_takes_it_for_and_nothing_else() -> None:
    assert set(JUDGES) == {path.stem for path in FOLDER.glob("*.json")}
    for name, is_it in JUDGES.items():
        assert [judge for judge in set(JUDGES.values()) if judge(payload(name))] == [is_it], name


@pytest.mark.parametrize(("name", "thread"), [("message", THREAD.id.rpartition("/")[2]), ("file-share", None)])
def test_bolt_finds_the_same_people_and_places_in_a_message(name: str, thread: str | None) -> None:
    body = payload(name)
    assert (bolt.extract_team_id(body), bolt.extract_user_id(body)) == (ME.team, body["event"]["user"])
    assert bolt.extract_channel_id(body) == "C1" and bolt.extract_thread_ts(body) == thread


@pytest.mark.parametrize("name", ["slash", "button", "shortcut"])
def test_bolt_finds_the_same_people_and_places_in_what_somebody_pressed(name: str) -> None:
    body = payload(name)
    user = body.get("user", {}).get("id") or body["user_id"]
    assert (bolt.extract_team_id(body), bolt.extract_user_id(body)) == (ME.team, user)
    assert bolt.extract_channel_id(body) == "C1"


async def test_the_twins_deliveries_are_what_bolt_takes_them_for(there: Twin, hands: Hands) -> None:
    for what in await told(there, hands):
        assert JUDGES[kind(what)](what), kind(what)


def test_the_blocks_of_a_form_and_a_message_are_those_of_slacks_library() -> None:
    """It parses each into its own class, and finds nothing wrong; for the table too, which it knows."""
    table = Table(("Line",), (("12",),), "Mistakes")
    button = Button("Ask", "ask:1", form=(Field("question", "Your question", is_long=True),))
    said = Message("k", "text `code` https://example.org", "Title", (("Rows", "3"),), table, "code", (button,))
    form = forms.view(forms.Start("U1", "C1"), [{"name": "a.csv", "id": "F1"}])
    for block in [*blocks(said), *fields.view(button, "T1/C1")["blocks"], *form["blocks"]]:
        parsed = Block.parse(block)
        assert parsed is not None and type(parsed) is not Block, block["type"]
        parsed.validate_json()
    assert View(**form).to_dict()["callback_id"] == forms.CALLBACK


# ---- the twin


async def told(there: Twin, hands: Hands) -> list[dict[str, Any]]:
    """One of each thing that people do in the twin, as it was delivered."""
    async with ears(lines.chat(there)):
        hands.drops("U1", "C1", "pairs.csv", b"text\n")
        hands.says("U1", "C1", "hello", hands.says("U1", "C1", "a thread"))
        hands.slash("U1", "C1", "list")
        said = there.at.add("C1", {"user": "U0BOT", "bot_id": "B0BOT", "text": "", "thread_ts": "1.1"})
        hands.presses("U1", "C1", said["ts"], {"action_id": "press-0", "value": "start:1"})
        view = {"id": "V1", "type": "modal", "callback_id": "button-form", "private_metadata": '["a", "T1/C1"]'}
        blocks = [{"type": "input", "block_id": "q", "element": {"type": "plain_text_input", "action_id": "value"}}]
        hands.submits("U1", {**view, "blocks": blocks}, {"q": {"value": "x"}})
        search = [{"type": "input", "block_id": "m", "element": {"type": "external_select", "action_id": "model"}}]
        hands.searches("U1", {**view, "blocks": search}, "m", "qwen")
        hands.shortcut("U1", "C1", there.at.messages["C1"][0]["ts"])
        hands.opens_home("U1")
        hands.invites("C3")
        await eventually(lambda: len(there.delivery.told) == 11)
    return [what for what, _ in there.delivery.told]


KINDS = {
    "block_actions": "button", "view_submission": "form", "message_action": "shortcut", "message": "message",
    "file_shared": "file-shared", "app_home_opened": "home-opened", "member_joined_channel": "member-joined",
    "block_suggestion": "suggestion",
}  # fmt: skip


def kind(what: dict[str, Any]) -> str:
    if "command" in what:
        return "slash"
    event = what.get("event", {})
    return "file-share" if event.get("subtype") == "file_share" else KINDS[event.get("type") or what["type"]]


async def test_the_twin_says_nothing_that_slack_does_not_say(there: Twin, hands: Hands) -> None:
    seen = set()
    for what in await told(there, hands):
        name = kind(what)
        seen.add(name)
        strange = set(paths(what)) - set(paths(payload(name)))
        assert strange == set(), name
    assert seen == {"slash", "file-share", *KINDS.values()}


@pytest.mark.parametrize("name", ["message", "file-share"])
async def test_the_twin_says_what_the_adapter_reads(there: Twin, hands: Hands, name: str) -> None:
    needed = {"event.user", "event.ts", "event.channel", "event.text", "event.type", "event.channel_type", "event_id"}
    events = [what for what in await told(there, hands) if kind(what) == name]
    assert events and all(needed <= set(paths(what)) for what in events)


OPEN = {"event.view", "view.blocks", "view.state.values", "state.values", "event.blocks", "message.blocks"}
"""What stands below these is of the app's own making."""


def paths(part: Any, above: str = "") -> Iterator[str]:
    """The paths to all the values, lists left out of them: `event.files.name`."""
    if above in OPEN:
        return
    if isinstance(part, dict):
        for name, value in part.items():
            path = f"{above}.{name}" if above else name
            yield path
            yield from paths(value, path)
    elif isinstance(part, list):
        for value in part:
            yield from paths(value, above)
