"""Rows that are longer than `max_length`, cut where a sentence or a turn ends and not where a token does.

Answers lose whole sentences at their end. A conversation loses whole turns at its end, so that its last answer is one
that was given to its end; only where the first answer alone is too long does that one lose sentences. Prompts are
never cut, nor are texts that went through a chat template already.
"""

import bisect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from engine.data.columns import STRINGS
from engine.data.fixes.changes import Written
from engine.data.preview.fate import UNLIMITED, encode
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.trainer_rows import PLAIN_METHODS
from engine.data.turns import MARKS, messages_in, turn_ends
from engine.data.types import Row
from engine.refusal import Refusal

SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|\\n|$)|[。！？]+[”’」』）]*|\n")
ANSWERS = ("text", "rejected_text")
AROUND = 64
"""More tokens than a template puts around a short conversation."""
AROUND_A_TURN = 16

Value = list[dict[str, object]]
Part = TypeVar("Part")


class Cutting:
    """How rows of `plan` are cut to `max_length` tokens of `tokenizer`."""

    def __init__(self, plan: Plan, tokenizer: FileTokenizer, max_length: int) -> None:
        self.plan = plan
        self.tokenizer = tokenizer
        self.max_length = max_length

    def shortened(self, row: Row) -> Mapping[str, Written]:
        """The cells that are cut, by column; none for a row that fits, and for one that nothing makes fit."""
        way = self.plan.way
        if self.plan.method in PLAIN_METHODS or not self._may_be_long(row):
            return {}
        if "messages" in way:
            return self._without_turns(row, way["messages"])
        found: dict[str, Written] = {}
        for role in ANSWERS:
            if role in way and self._over(row, role) > 0:
                written = self._answer(row, role)
                if written is None:
                    return {}
                found[way[role]] = written
        return found

    def _may_be_long(self, row: Row) -> bool:
        """A token is at least one byte, so most rows need not be tokenised."""
        cells = [cell for column in self.plan.way.values() if (cell := row.get(column))]
        parts = [cell if isinstance(cell, str) else json.dumps(cell) for cell in cells]
        turns = sum(part.count("{") for part in parts)
        return sum(len(part.encode()) for part in parts) + AROUND + turns * AROUND_A_TURN > self.max_length

    def _over(self, row: Row, role: str = "text") -> int:
        """By how many tokens a row is too long in the answer that `role` is; 1 for what cannot be read at all."""
        try:
            encoded = encode(self.plan.row(row), self.plan.method, self.tokenizer, UNLIMITED)
        except Refusal:
            return 1
        if not isinstance(encoded, dict):
            return 1
        side = "chosen" if role == "text" else "rejected"
        answer = encoded.get(f"{side}_ids") or encoded.get("completion_ids") or encoded.get("input_ids") or ()
        return len(encoded.get("prompt_ids", ())) + len(answer) - self.max_length

    def _answer(self, row: Row, role: str) -> Written | None:
        """The answer in a string, or the last message of one that is a list."""
        column = self.plan.way[role]
        cell = row.get(column)
        if column not in STRINGS and messages_in(cell) is not None:
            return self._last_message(row, column, role)
        text = str(cell)
        if MARKS.search(text):
            return None
        over = partial(self._over_with, row, column, role, None)
        turns = turn_ends(text) if "prompt" not in self.plan.way else []
        exchanges = [text[:end].rstrip() for end in turns[1:]]
        if fits := number_that_fits(exchanges, over):
            return Written(exchanges[fits - 1], "cut by whole turns at its end")
        ends = [end for end in sentence_ends(text) if not turns or turns[0] < end < (turns[1:] or [len(text)])[0]]
        fitting = self._fitting(text, ends, over)
        return Written(fitting, f"cut after {len(fitting):,} characters, at a sentence") if fitting else None

    def _over_with(self, row: Row, column: str, role: str, value: Value | None, text: str) -> int:
        """By how many tokens the row is too long with `text` in its cell, or in the last message of `value` there."""
        return self._over({**row, column: text if value is None else with_text(value, text)}, role)

    def _fitting(self, text: str, ends: Iterable[int], over: Callable[[str], int]) -> str:
        """`text` up to the last of `ends` with which its row is not too long; empty where there is none.

        The text is tokenised once, and each token's place says where to look; the row is measured again after each
        cut, since a template and a join have tokens of their own.
        """
        places = list(ends)
        if not places:
            return ""
        tokens = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        until = [end for _, end in tokens["offset_mapping"]]
        shorter, left = text, len(until)
        while (excess := over(shorter)) > 0:
            left -= excess
            limit = until[left - 1] if left > 0 else 0
            del places[bisect.bisect_right(places, limit) :]
            if not places:
                return ""
            shorter = text[: places.pop()].rstrip()
            left = bisect.bisect_right(until, len(shorter))
        return shorter

    def _last_message(self, row: Row, column: str, role: str) -> Written | None:
        """An answer in messages, of which the last one loses sentences."""
        value = listed(row[column])
        if value is None:
            return None
        text = text_of(value[-1])
        fitting = self._fitting(text, sentence_ends(text), partial(self._over_with, row, column, role, value))
        return Written(as_text(with_text(value, fitting)), "cut at a sentence of its last message") if fitting else None

    def _without_turns(self, row: Row, column: str) -> Mapping[str, Written]:
        """A conversation that ends with the last answer that fits, or within its first answer."""
        value, messages = listed(row.get(column)), messages_in(row.get(column))
        if value is None or messages is None or self._over(row) <= 0:
            return {}
        ends = [number for number, message in enumerate(messages, 1) if message["role"] == "assistant"]
        if fits := number_that_fits(ends, lambda end: self._over({**row, column: value[:end]})):
            kept = value[: ends[fits - 1]]
            return {column: Written(as_text(kept), f"cut by {turns_in_words(len(value) - len(kept))} at its end")}
        return self._within_first(row, column, value[: ends[0]]) if ends else {}

    def _within_first(self, row: Row, column: str, value: Value) -> Mapping[str, Written]:
        text = text_of(value[-1])
        fitting = self._fitting(text, sentence_ends(text), partial(self._over_with, row, column, "text", value))
        words = "cut at a sentence of its first answer"
        return {column: Written(as_text(with_text(value, fitting)), words)} if fitting else {}


def number_that_fits(ever_longer: Sequence[Part], over: Callable[[Part], int]) -> int:
    """How many of these are not too long."""
    return bisect.bisect_left(ever_longer, 1, key=lambda part: int(over(part) > 0))


def sentence_ends(text: str) -> Sequence[int]:
    return [end.end() for end in SENTENCE_END.finditer(text)]


def turns_in_words(number: int) -> str:
    return "1 message" if number == 1 else f"{number} messages"


def listed(value: object) -> Value | None:
    """The list of messages as it stands in a cell, JSON text or not; None for another form of it."""
    found = json.loads(value) if isinstance(value, str) else value
    return found if isinstance(found, list) and found else None


def _key(message: Mapping[str, object]) -> str:
    return "content" if "content" in message else "value"


def text_of(message: Mapping[str, object]) -> str:
    return str(message[_key(message)])


def with_text(value: Value, text: str) -> Value:
    """The messages with another text in the last one; its other keys stay."""
    return [*value[:-1], {**value[-1], _key(value[-1]): text}]


def as_text(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
