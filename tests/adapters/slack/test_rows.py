"""Rows that are pasted into a message of Slack's, and datasets of the Hub that are named in one."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.chat.slack.blocks import blocks
from adapters.chat.slack.reading import words
from bot.chat import Message
from engine.hub.client import connect
from tests.adapters.slack.room import bot, chosen, sees
from tests.e2e.house import hub
from tests.twins.slack import drawn
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin

ROWS = "text\n" + "".join(f"row {n}: “so it is” <b> &amp; R&D</s>\u00a0end\n" for n in range(12))
"""Curly quotes, a mark of HTML, an entity, a mark of a template, a space that does not break."""


def typed(text: str) -> str:
    """As Slack hands over what somebody typed."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def test_pasted_rows_keep_every_character_while_words_lose_their_curly_quotes() -> None:
    assert words(typed(f"sft text=“a b”\n```\n{ROWS}```\n“x”")) == f'sft text="a b"\n```\n{ROWS}```\n"x"'
    linked = "check ```\ntext\nsee <http://example.org/a|example.org/a> or <mailto:a@b.org|a@b.org>\n```"
    assert words(linked) == "check ```\ntext\nsee example.org/a or a@b.org\n```"


def test_marks_in_a_sample_are_shown_as_they_stand() -> None:
    text = "a</s>b <|im_end|> &lt; <!channel>"
    made = blocks(Message("k", text, code=text))
    shown = [part["text"] for block in made for element in block["elements"] for part in element["elements"]]
    assert shown == [text, text]
    page = drawn.message({"blocks": made, "text": "", "user": "U0BOT", "ts": "1.1"}, {}, True)
    assert "a&lt;/s&gt;b &lt;|im_end|&gt;" in page


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as (url, token):
        api = connect(token, url)
        api.create_repo("local/rows", repo_type="dataset")
        api.upload_file(
            path_or_fileobj=ROWS.encode(), path_in_repo="train.csv", repo_id="local/rows", repo_type="dataset"
        )
        yield url, token


@pytest.mark.slow
async def test_pasted_rows_and_a_dataset_of_the_hub_are_answered_and_planned_on(
    tmp_path: Path, there: Twin, hands: Hands, endpoint: tuple[str, str]
) -> None:
    settings = chosen(tmp_path, endpoint)
    async with bot(settings, there, "socket"):
        ts = hands.says("U1", "C1", f"<@U0BOT> check\n```\n{typed(ROWS)}```")
        report = await sees(hands, lambda shown: "pasted-" in shown.title and "is ready for" in shown.title)
        assert report.thread == ts
        kept = settings.uploads / hashlib.sha256(ROWS.encode()).hexdigest() / "file"
        assert kept.read_text() == ROWS
        named = hands.says("U1", "C1", "<@U0BOT> check hf:local/rows:train[:11]")
        report = await sees(hands, lambda shown: shown.title.startswith("rows-") and "is ready for" in shown.title)
        assert report.thread == named
        hands.says("U1", "C1", "<@U0BOT> sft valid=hf:local/rows:train[:3]", named)
        plan = await sees(hands, lambda shown: "Start" in shown.buttons)
        assert plan.thread == named and "3 held out" in plan.all
    assert there.at.refused == []
