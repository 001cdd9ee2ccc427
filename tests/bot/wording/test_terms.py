"""Every word that can be typed, and every word that the bot uses, is explained; the page is the one that is printed."""

from pathlib import Path

import pytest

from bot.talk.commands import WORDS
from bot.wording import help as help_words
from bot.wording import terms
from engine.plan import parameters

ROOT = Path(__file__).parents[3]
SAID = (*WORDS, *terms.FIELD, *help_words.TERMS, *(each.name for each in parameters.table_for("sft")))


@pytest.mark.parametrize("word", sorted(set(SAID)))
def test_help_explains_it(word: str) -> None:
    message = help_words.term("k", word)
    assert message.title != "/finetune" and word in f"{message.title} {message.text}"


def test_what_nobody_knows_is_answered_with_all_there_is() -> None:
    assert help_words.term("k", "gibberish").title == "/finetune"


def test_every_command_has_its_line_and_no_other_has_one() -> None:
    assert set(terms.COMMANDS) == set(WORDS)


def test_the_page_of_commands_is_the_one_that_the_code_prints() -> None:
    assert (ROOT / "docs" / "commands.md").read_text() == terms.page(help_words.TERMS)
