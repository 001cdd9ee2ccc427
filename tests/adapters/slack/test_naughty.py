"""Words that mean harm, in every part of what the bot says: within Slack's limits, and they ping nobody."""

import json

import pytest

from adapters.chat.slack import reading
from adapters.chat.slack.blocks import blocks, escape, fallback, listed
from adapters.chat.slack.surfaces import fields
from bot.chat import Button, Chart, Command, Field, Message, Person, Place, Table, TryLater
from tests.adapters.slack import lines
from tests.naughty import NAUGHTY
from tests.twins.slack import limits
from tests.twins.slack.server import Twin

ANN = Person("U1", "ann")
ME = reading.Bot("T1", "U0BOT", "threadtune", "B0BOT")
EACH = 40
"""Strings in one message of the test that posts them all."""


def everywhere(text: str) -> Message:
    """A message with the same words in each of its parts."""
    table = Table((text, "b"), ((text, ""), ("", text)), text)
    buttons = (Button(text, text[:50], "primary"), Button(text[:9], "fill:1", form=(Field("a", text, text, (text,)),)))
    return Message("k", text, text, ((text, text),), table, text, buttons, chart=Chart(text, ((text, 1.0), ("b", 2.0))))


def test_there_are_several_hundred_of_many_kinds() -> None:
    assert len(NAUGHTY) > 800


def test_each_in_every_part_of_a_message_keeps_slacks_limits_and_pings_nobody() -> None:
    for text in NAUGHTY:
        said = everywhere(text)
        for has_table in (True, False):
            shown = blocks(said, has_table, has_chart=has_table)
            limits.check(shown)
            assert limits.pings(fallback(said), shown) == set(), text
        assert limits.pings(fallback(said), []) == set(), text
        assert len(fallback(said)) <= 4000
        json.dumps(shown).encode()


def test_each_in_a_form_and_in_the_home_tab_keeps_slacks_limits() -> None:
    for text in NAUGHTY:
        button = Button(text, "fill:1", form=(Field("gap0", text or "x", text), Field("b", "b", text, (text, "other"))))
        limits.check_view(fields.view(fields.unpacked(fields.packed(button)) or button, "T1/C1"))
        home = [
            {"type": "rich_text", "elements": list(listed(Message("k", text or "x", table=everywhere(text).table)))}
        ]
        limits.check(home, "home")
        assert limits.pings("", home) == set()


def test_each_that_somebody_says_to_the_bot_is_text_that_can_be_stored() -> None:
    for text in (*NAUGHTY, "half \ud83d a character"):
        for message in ({"text": f"<@U0BOT> {text}"}, {"text": f"<@U0BOT> {escape(text)}"}):
            told = reading.incomings({"ts": "1.1", "user": "U1", **message}, "C1", ME, ANN)
            assert all(isinstance(one.what, Command) and one.what.text.encode() is not None for one in told)
        reading.upload({"id": "F1", "name": text}).name.encode()


@pytest.mark.parametrize("is_private", [False, True])
async def test_messages_full_of_them_are_taken_and_ping_nobody(there: Twin, is_private: bool) -> None:
    """All of them, by a clock that is put on whenever the adapter asks to wait."""
    now = 1000.0
    chat = lines.chat(there)
    chat.api.pace.clock = there.rates.clock = lambda: now
    for first in range(0, len(NAUGHTY), EACH):
        these = NAUGHTY[first : first + EACH]
        said = "\n".join(text[:60] for text in these)
        table = Table(("", *these[:9]), tuple((text, *these[:9]) for text in these), these[0])
        message = Message(
            f"k{first}", said, these[-1], ((these[0], said),), table, said, only_for=ANN if is_private else None
        )
        while True:
            try:
                await chat.post(Place("T1/C1"), message)
                break
            except TryLater as wait:
                now += wait.seconds
    shown = there.at.private if is_private else there.at.messages["C1"]
    assert len(shown) == -(-len(NAUGHTY) // EACH)
    assert there.at.pings == {}
    assert there.at.refused == []
