"""What a message becomes on Discord: always within the limits, never formatted by what is in it."""

import re
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.chat.discord import commands, escape, views
from bot.chat import Button, File, Message, Table
from bot.talk.commands import WORDS, Plan, parse
from engine.data.types import NEEDS
from engine.plan import parameters
from tests.twins.discord_world import walk

SIGNS = st.text(st.sampled_from("*_~|`>#-[]()<@:/\\ \n1.x\u202e\u4e00"), max_size=400) | st.text(max_size=400)


@given(SIGNS)
def test_no_sign_is_left_that_formats(text: str) -> None:
    shown = escape.ADDRESS.sub("", escape.escaped(text))
    bare = re.sub(r"\\[" + re.escape(string.punctuation) + "]", "", shown)
    assert not set("*_~|`>#[]<") & set(bare)
    assert not re.search(r"@(everyone|here)|<[@#]", bare)


@given(SIGNS)
def test_nothing_ends_a_block(text: str) -> None:
    assert "```" not in escape.block(text)[3:-3]
    assert "\u202e" not in escape.block(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1. first", "1\\. first"),
        ("see https://huggingface.co/a/b_c_d now", "see https://huggingface.co/a/b_c_d now"),
        ("xhttps://a_b_", "xhttps:\u200b//a\\_b\\_"),
        ("<https://a.b>", "\\<https://a.b\\>"),
        ("@everyone", "@\u200beveryone"),
        ("\u202etxt", "\\\\u202etxt"),
    ],
)
def test_plain_text_stays_readable(text: str, shown: str) -> None:
    assert escape.escaped(text) == shown


@settings(max_examples=50)
@given(SIGNS, st.lists(SIGNS, max_size=30), st.integers(0, 20))
async def test_every_message_is_within_discords_limits(text: str, cells: list[str], times: int) -> None:
    table = Table(("a", "b"), tuple((cell, cell) for cell in cells)) if cells else None
    buttons = tuple(Button("x" * 200, f"a:{number}") for number in range(times))
    fields = (("f", text), (text, text * times))
    message = Message("k", text * times, text * 2, fields, table, text * times, buttons)
    view, files = views.shown(message, lambda action: action)
    parts = list(walk(view.to_components()))  # type: ignore[no-untyped-call]  # discord.py's own
    assert len(parts) <= 40 and len(files) <= 10
    assert sum(len(part["content"]) for part in parts if part["type"] == 10) <= 4000
    for file in files:
        file.close()


def test_what_a_file_with_a_thousand_columns_has_is_cut_and_sent_along() -> None:
    columns = ", ".join(f"column_{number}" for number in range(1000))
    texts, attachments = views.fitted(Message("k", "It is read.", "wide.csv", (("Columns", columns), ("Rows", "7"))))
    assert "**Rows** 7" in texts[1] and len(texts[1]) < 400
    assert dict(attachments)["facts.txt"] == f"Columns: {columns}\nRows: 7".encode()


def test_wide_rows_are_shown_one_fact_after_the_other() -> None:
    table = Table(("Prompt", "After"), (("p" * 80, "a" * 80),))
    texts, _ = views.fitted(Message("k", "", table=table))
    assert f"**Prompt** {'p' * 80}\n**After** {'a' * 80}" in texts


def test_rows_with_one_long_cell_are_a_line_each() -> None:
    table = Table(("", "Line", "What"), (("x", "4", "w" * 80), ("", "", "*")))
    texts, _ = views.fitted(Message("k", "", table=table))
    assert f"**Line · What**\nx · 4 · {'w' * 80}\n\\*" in texts


def test_a_file_that_is_too_large_is_named_instead(tmp_path: Path) -> None:
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(views.MAX_FILE_BYTES + 1)
    texts, attachments = views.fitted(Message("k", "", files=(File("big.bin", tmp_path / "big.bin"),)))
    assert not attachments and "larger than 10 MB" in "".join(texts)


# ---- commands


def test_the_commands_are_within_discords_limits() -> None:
    group, menu = commands.payload()
    assert commands.size(group) <= 8000 and len(group["options"]) <= 25 and menu["name"] == "Fine-tune this file"
    for word in group["options"]:
        assert len(word["options"]) <= 25 and len(word["description"]) <= 100
        for option in word["options"]:
            assert re.fullmatch(r"[a-z_]{1,32}", option["name"]) and 1 <= len(option["description"]) <= 100


def test_every_word_of_the_bot_is_a_command() -> None:
    words = {each["name"] for each in commands.payload()[0]["options"]}
    assert set(WORDS) - set(commands.TYPED) <= words, "what has no command of its own is typed after `say`"
    assert "kto" in words and len(words) <= 25


@pytest.mark.parametrize("method", NEEDS)
def test_every_method_is_a_command_with_its_parameters(method: str) -> None:
    word = next(each for each in commands.payload()[0]["options"] if each["name"] == method)
    names = {option["name"] for option in word["options"]}
    assert {"file", "model", "more", *NEEDS[method]} <= names
    assert {item.name for item in parameters.table_for(method) if item.name in commands.FIRST} <= names


def test_a_forms_values_are_read_as_they_were_given() -> None:
    options = [
        ("epochs", 2.5),
        ("learning_rate", 1e-5),
        ("lora", False),
        ("prompt", 'my "own" column'),
        ("more", "seed=7"),
    ]
    data = {"options": [{"name": "dpo", "options": [{"name": name, "value": value} for name, value in options]}]}
    text, file = commands.words(data)
    assert not file
    wanted = {"epochs": "2.5", "learning_rate": "1e-05", "lora": "off", "seed": "7"}
    assert parse(text) == Plan("dpo", columns={"prompt": "my own column"}, options=wanted)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "list"),
        ({"run": "7", "save": True}, "cancel 7 save"),
        ({"word": "lora"}, "help lora"),
        ({"run": "7", "when": "every monday 02:00"}, "schedule 7 every monday 02:00"),
        ({"what": "off"}, "notify off"),
        ({"more": "epochs=2", "run": "7"}, "retry 7 epochs=2"),
    ],
)
def test_other_words_are_typed_in_order(options: dict[str, object], text: str) -> None:
    given_options = [{"name": name, "value": value} for name, value in options.items()]
    data = {"options": [{"name": text.split()[0], "options": given_options}]}
    assert commands.words(data)[0] == text


def test_any_words_can_be_typed() -> None:
    data = {"options": [{"name": "say", "options": [{"name": "words", "value": " /finetune unschedule 2"}]}]}
    assert commands.words(data) == ("unschedule 2", "")
