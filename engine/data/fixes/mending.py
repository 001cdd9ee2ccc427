"""The fixes of single rows: texts that change, rows that are dropped."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from engine.data.checks.cells import are_equal
from engine.data.columns import OPTIONAL, mapping_for, renames_for
from engine.data.fixes.changes import Changes, Shorten, Written
from engine.data.fixes.texts import TEXT_FIXES, changer
from engine.data.reading import Reading, Record
from engine.data.shown import shown
from engine.refusal import Refusal

Cells = dict[str, object]
Place = tuple[int, str]
"""A row from 1, and a column."""


class Firsts(Protocol):
    """Which earlier row one repeats, exactly (same) or nearly (near)."""

    def first(self, row: int, kind: str, /) -> int | None: ...


class Mending:
    """The fixes as questions about one row: `cells` may change, or be dropped (None). `filled` is what is to stand in
    single cells, `shorten` cuts what is too long, `firsts` knows which rows repeat others."""

    def __init__(
        self,
        reading: Reading,
        fixes: Sequence[str],
        mapping: Mapping[str, str],
        changes: Changes,
        filled: Mapping[Place, Written],
        shorten: Shorten | None = None,
        firsts: Firsts | None = None,
    ) -> None:
        self.changes = changes
        self.filled = filled
        self._shorten = shorten
        self._firsts = firsts
        self.renames: dict[str, str] = {}
        if "rename_columns" in fixes:
            chosen = {column: role for role, column in mapping.items()}
            self.renames = chosen or renames_for(reading.columns)
        self.columns = tuple(self.renames.get(name, name) for name in reading.columns)
        way = self._way(reading)
        self._needed = [column for role, column in way.items() if role not in OPTIONAL]
        self._pair = (way.get("text", ""), way.get("rejected_text", ""))
        self._lists = reading.lists
        self._is_json = reading.shape.format != "csv"
        self._steps: list[Callable[[Record, Cells], Cells | None]] = []
        texts = {name: self._each_text(changer(name), words) for name, (_, words) in TEXT_FIXES.items()}
        steps = {
            **texts,
            "drop_empty_rows": self._drop_empty,
            "drop_equal_pairs": self._drop_equal,
        }
        fill: list[Callable[[Record, Cells], Cells | None]] = [self._fill] if filled else []
        cut = [self._cut] if shorten is not None else []
        self._steps = [*fill, *(step for name, step in steps.items() if name in fixes), *cut]
        self._repeats = [
            step
            for name, step in (("drop_duplicates", self._drop_same), ("drop_near_duplicates", self._drop_near))
            if name in fixes and firsts is not None
        ]

    def _way(self, reading: Reading) -> Mapping[str, str]:
        ways = (mapping_for(method, self.columns, {}, reading.lists) for method in ("dpo", "reward", "sft"))
        return next((way for way in ways if way is not None), {})

    def say_renames(self) -> None:
        for old, new in self.renames.items():
            self.changes.add(1, f"the column {shown(old)} is {shown(new)} now.")

    def mend(self, record: Record) -> Cells | None:
        """The row's cells under their new names, changed where a fix wants it; None for a row that is dropped."""
        cells = {self.renames.get(name, name): value for name, value in record.cells.items()}
        for step in (*self._repeats, *self._steps):
            changed = step(record, cells)
            if changed is None:
                return None
            cells = changed
        return cells

    def _say(self, record: Record, text: str) -> None:
        self.changes.add(record.line, text)

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
            written = self.filled.get((record.row, name))
            if written is not None and written.text != cells.get(name):
                self._say(record, f"{shown(name)} was {written.how or f'filled in: {shown(written.text, 60)}'}.")
                cells = {**cells, name: self._as_it_stood(name, written.text)}
        return cells

    def _cut(self, record: Record, cells: Cells) -> Cells:
        """Cells that are too long; the cutting knows columns by the names that the file gave them."""
        named = {name: cells[self.renames.get(name, name)] for name in record.cells}
        for name, written in (self._shorten(named) if self._shorten else {}).items():
            self._say(record, f"{shown(name)} was {written.how}.")
            cells = {**cells, self.renames.get(name, name): self._as_it_stood(name, written.text)}
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

    def _drop_same(self, record: Record, cells: Cells) -> Cells | None:
        first = self._firsts.first(record.row, "same") if self._firsts else None
        if first is None:
            return cells
        self._say(record, f"row {record.row} was dropped: it repeats row {first}.")
        return None

    def _drop_near(self, record: Record, cells: Cells) -> Cells | None:
        first = self._firsts.first(record.row, "near") if self._firsts else None
        if first is None:
            return cells
        self._say(record, f"row {record.row} was dropped: it repeats row {first} but for case and spaces.")
        return None


def _changed(value: object, change: Callable[[str], str]) -> object:
    """`value` with every text in it changed; keys of objects stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return value
