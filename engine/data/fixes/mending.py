"""The fixes of single rows: texts that change, rows that are dropped."""

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.data.checks.cells import are_equal
from engine.data.checks.content import BIDI, CONTROL, ENTITY, MISREAD, ZERO_WIDTH, repaired, texts
from engine.data.checks.repeats import alike, hash_of, without_identifiers
from engine.data.columns import OPTIONAL, mapping_for, renames_for
from engine.data.private import without_personal_data, without_secrets
from engine.data.reading import Reading, Record
from engine.data.shown import shown
from engine.data.turns import unescape
from engine.refusal import Refusal

Cells = dict[str, object]
Place = tuple[int, str]
"""A row from 1, and a column."""
HIDDEN = re.compile("|".join(pattern.pattern for pattern in (CONTROL, BIDI, ZERO_WIDTH)))


def without_hidden(text: str) -> str:
    return HIDDEN.sub("", text)


def unescape_html(text: str) -> str:
    return ENTITY.sub(lambda found: html.unescape(found[0]), text)


def repair_mojibake(text: str) -> str:
    return MISREAD.sub(lambda found: repaired(found[0]) or found[0], text)


TEXT_FIXES: Mapping[str, tuple[Callable[[str], str], str]] = {
    "unescape": (unescape, "backslash-n became a line break in"),
    "unescape_html": (unescape_html, "HTML entities became characters in"),
    "repair_mojibake": (repair_mojibake, "misread letters were repaired in"),
    "drop_hidden": (without_hidden, "invisible characters were taken out of"),
    "mask_secrets": (without_secrets, "a secret was masked in"),
    "mask_personal_data": (without_personal_data, "personal data was masked in"),
}
"""How each fix changes a text, and what is said of it."""


@dataclass(frozen=True)
class Change:
    """What was changed: in which physical line of the old file, and how in words."""

    line: int | None
    text: str

    def words(self) -> str:
        return f"Line {self.line}: {self.text}" if self.line is not None else self.text


class Mending:
    """The fixes as questions about one row: `cells` may change, or be dropped (None)."""

    def __init__(
        self,
        reading: Reading,
        fixes: Sequence[str],
        mapping: Mapping[str, str],
        changes: list[Change],
        filled: Mapping[Place, str],
    ) -> None:
        self.changes = changes
        self.filled = filled
        self.renames: dict[str, str] = {}
        if "rename_columns" in fixes:
            chosen = {column: role for role, column in mapping.items()}
            self.renames = chosen or renames_for(reading.columns)
        self.columns = tuple(self.renames.get(name, name) for name in reading.columns)
        way = self._way(reading)
        self._needed = [column for role, column in way.items() if role not in OPTIONAL]
        self._pair = (way.get("text", ""), way.get("rejected_text", ""))
        self._lists = reading.lists
        self._is_json = reading.shape.format in ("jsonl", "json")
        self._seen: dict[int, int] = {}
        self._alike: dict[int, int] = {}
        self._steps: list[Callable[[Record, Cells], Cells | None]] = []
        texts = {name: self._each_text(change, words) for name, (change, words) in TEXT_FIXES.items()}
        steps = {
            **texts,
            "drop_empty_rows": self._drop_empty,
            "drop_equal_pairs": self._drop_equal,
            "drop_duplicates": self._drop_duplicate,
            "drop_near_duplicates": self._drop_near_duplicate,
        }
        fill: list[Callable[[Record, Cells], Cells | None]] = [self._fill] if filled else []
        self._steps = fill + [step for name, step in steps.items() if name in fixes]

    def _way(self, reading: Reading) -> Mapping[str, str]:
        ways = (mapping_for(method, self.columns, {}, reading.lists) for method in ("dpo", "reward", "sft"))
        return next((way for way in ways if way is not None), {})

    def say_renames(self) -> None:
        for old, new in self.renames.items():
            self.changes.append(Change(1, f"the column {shown(old)} is {shown(new)} now."))

    def mend(self, record: Record) -> Cells | None:
        """The row's cells under their new names, changed where a fix wants it; None for a row that is dropped."""
        cells = {self.renames.get(name, name): value for name, value in record.cells.items()}
        for step in self._steps:
            changed = step(record, cells)
            if changed is None:
                return None
            cells = changed
        return cells

    def _say(self, record: Record, text: str) -> None:
        self.changes.append(Change(record.line, text))

    def _each_text(self, change: Callable[[str], str], words: str) -> Callable[[Record, Cells], Cells]:
        """A step that changes texts one by one, in lists of messages too. A conversation that is JSON in a cell of a
        table stays as it is."""

        def step(record: Record, cells: Cells) -> Cells:
            changed = {
                name: value if isinstance(value, str) and name in self._lists else _changed(value, change)
                for name, value in cells.items()
            }
            for name, value in changed.items():
                if value != cells[name]:
                    self._say(record, f"{words} {shown(name)}.")
            return changed

        return step

    def _fill(self, record: Record, cells: Cells) -> Cells:
        """What a person wrote into cells of this row; where a conversation stood or has to stand, it is JSON."""
        for name in self.columns:
            text = self.filled.get((record.row, name))
            if text is not None and text != cells.get(name):
                was = cells.get(name)
                is_cut = isinstance(was, str) and bool(text) and was.startswith(text)
                how = f"cut after {len(text):,} characters" if is_cut else f"filled in: {shown(text, 60)}"
                self._say(record, f"{shown(name)} was {how}.")
                cells = {**cells, name: self._as_it_stood(name, text)}
        return cells

    def _as_it_stood(self, name: str, text: str) -> object:
        if not self._is_json or name not in self._lists:
            return text
        try:
            return json.loads(text)
        except ValueError:
            raise Refusal(
                f"What you wrote for {shown(name)} is no JSON; keep its brackets and quotes.", "file"
            ) from None

    def _drop_empty(self, record: Record, cells: Cells) -> Cells | None:
        for name in self._needed:
            value = cells.get(name)
            if value is None or (isinstance(value, str) and not value.strip()):
                self._say(record, f"row {record.row} was dropped: {shown(name)} is empty.")
                return None
        return cells

    def _drop_equal(self, record: Record, cells: Cells) -> Cells | None:
        chosen, rejected = (cells.get(name) for name in self._pair)
        if are_equal(chosen, rejected):
            self._say(record, f"row {record.row} was dropped: both answers are the same.")
            return None
        return cells

    def _drop_duplicate(self, record: Record, cells: Cells) -> Cells | None:
        first = self._seen.setdefault(hash_of(without_identifiers(cells)), record.row)
        if first != record.row:
            self._say(record, f"row {record.row} was dropped: it repeats row {first}.")
            return None
        return cells

    def _drop_near_duplicate(self, record: Record, cells: Cells) -> Cells | None:
        first = self._alike.setdefault(alike("\n".join(texts(without_identifiers(cells).values()))), record.row)
        if first != record.row:
            self._say(record, f"row {record.row} was dropped: it repeats row {first} but for case and spaces.")
            return None
        return cells


def _changed(value: object, change: Callable[[str], str]) -> object:
    """`value` with every text in it changed; keys of objects stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return value
