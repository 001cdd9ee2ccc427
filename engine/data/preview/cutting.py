"""Rows that are longer than `max_length`, cut where a sentence ends and not where a token does."""

import re
from collections.abc import Iterable, Sequence

from engine.data.preview.fate import encode
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.types import Row

SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)|\n")
ANSWERS = ("text", "rejected_text")


def cut_cells(
    rows: Sequence[Row], numbers: Iterable[int], plan: Plan, tokenizer: FileTokenizer, max_length: int
) -> dict[tuple[int, str], str]:
    """(row from 1, column) → its text without the sentences that `max_length` would cut into.

    Answers are cut, prompts and conversations are not; a row whose first sentence is too long already stays as it is.
    """
    found: dict[tuple[int, str], str] = {}
    for number in numbers:
        row = rows[number - 1]
        fitting = _fitting(row, plan, tokenizer, max_length)
        columns = (plan.way[role] for role in ANSWERS if role in plan.way)
        found |= {(number, name): str(fitting[name]) for name in columns if fitting and fitting[name] != row[name]}
    return found


def _fitting(row: Row, plan: Plan, tokenizer: FileTokenizer, max_length: int) -> Row:
    """The row with its longest answer shortened, a sentence at a time, until it fits; empty where it never does."""
    names = [plan.way[role] for role in ANSWERS if role in plan.way]
    while _is_cut(row, plan, tokenizer, max_length):
        longest = max(names, key=lambda name: len(str(row[name])), default="")
        shorter = _without_last_sentence(row.get(longest))
        if not shorter:
            return {}
        row = {**row, longest: shorter}
    return row


def _is_cut(row: Row, plan: Plan, tokenizer: FileTokenizer, max_length: int) -> bool:
    encoded = encode(plan.row(row), plan.method, tokenizer, max_length)
    return encoded is None or (isinstance(encoded, dict) and bool(encoded["is_cut"]))


def _without_last_sentence(text: object) -> str:
    """Empty where the text has one sentence only, or is none."""
    ends = [end.end() for end in SENTENCE_END.finditer(text.rstrip())] if isinstance(text, str) else []
    return str(text)[: ends[-1]].rstrip() if ends else ""
