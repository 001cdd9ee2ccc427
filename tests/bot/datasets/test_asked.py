"""Rows in a message, and datasets of the Hub, are words that the bot understands."""

import pytest

from bot.talk.commands import parse
from bot.talk.datasets.asked import Check
from bot.talk.datasets.uploads import mended_name
from engine.refusal import Refusal

ROWS = "text\nhello\n"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("check\n```\ntext\nhello\n```", Check(rows=ROWS, kind="csv")),
        ("```csv\ntext\nhello```", Check(rows=ROWS, kind="csv")),
        ('```\n{"text":"a"}\n```', Check(rows='{"text":"a"}\n', kind="jsonl")),
        ("sft epochs=2 ```tsv\ntext\nhello\n```", Check(rows=ROWS, kind="tsv", then="sft epochs=2")),
        ("```text\nhello\n``` sft", Check(rows=ROWS, kind="csv", then="sft")),
        ("check hf:org/name:train[:10]", Check(source="hf:org/name:train[:10]")),
        ("check org/name[small]:test", Check(source="hf:org/name[small]:test")),
        ("hf:org/name", Check(source="hf:org/name")),
    ],
)
def test_what_is_to_be_checked_is_read_from_the_words(text: str, meant: Check) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("check", "Attach a file, paste the rows"),
        ("check facts.csv", "Attach a file, paste the rows"),
        ("check hf:../x", "names no dataset"),
        ("check ```\n```", "The code block is empty"),
        ("dop ```\ntext\nhello\n```", "Did you mean `dpo`?"),
        ("status ```\ntext\nhello\n```", "say what to train on them"),
        ("sft epochs=0 ```\ntext\nhello\n```", "0.01 to 1000"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_is_stored(text: str, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(text)
    assert said in refusal.value.text


@pytest.mark.parametrize(
    ("name", "format_", "mended"),
    [
        ("facts.csv", "csv", "facts.fixed.csv"),
        ("facts.tsv.gz", "csv", "facts.fixed.tsv"),
        ("facts.parquet.zip", "parquet", "facts.fixed.jsonl"),
        ("facts.json", "json", "facts.fixed.jsonl"),
        ("facts.json", "jsonl", "facts.fixed.jsonl"),
        ("facts.csv.gz", "", "facts.fixed.csv"),
        ("facts", "csv", "facts.fixed.csv"),
        ("v1.2 facts.csv", "csv", "v1.2 facts.fixed.csv"),
    ],
)
def test_a_mended_file_is_called_what_it_is(name: str, format_: str, mended: str) -> None:
    assert mended_name(name, format_) == mended
