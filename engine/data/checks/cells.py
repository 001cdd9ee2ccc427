"""Looking at one row after the other: what is wrong in its cells, and what is to be counted over all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from engine.data.checks.content import ContentChecks, texts
from engine.data.checks.labels import Labels
from engine.data.checks.repeats import Repeats, without_identifiers
from engine.data.columns import IDENTIFIERS, OPTIONAL, nearest
from engine.data.findings import Add
from engine.data.reading import Record
from engine.data.shown import shown
from engine.data.turns import BadMessages, TurnCount, faults_of, messages_of, unheeded

NOTHING_BAD: frozenset[str] = frozenset()


class CellChecks:
    """`needed` are the columns whose cells must not be empty, `lists` those that hold messages, `parts` says of those
    whether they hold whole conversations or only the answer at the end of one,
    `pair` the chosen and rejected columns or None, `prompt` the column of their prompt or None, `text` the column that
    may hold turn markers or None, `labels` what counts those of kto or None."""

    def __init__(
        self,
        columns: Iterable[str],
        needed: Iterable[str],
        lists: frozenset[str],
        parts: Mapping[str, str],
        pair: tuple[str, str] | None,
        prompt: str | None,
        text: str | None,
        labels: Labels | None,
        add: Add,
    ) -> None:
        self.order = tuple(columns)
        self.columns = frozenset(self.order)
        self.texts = tuple(name for name in needed if name not in lists)
        self.lists = tuple(name for name in needed if name in lists)
        self.has_identifiers = not self.columns.isdisjoint(IDENTIFIERS)
        self.parts = parts
        self.pair = pair
        self.text = text
        self.labels = labels
        self.add = add
        self.lengths: Counter[int] = Counter()
        self.turns = TurnCount()
        self.content = ContentChecks(lists, add)
        self.repeats = Repeats(pair, prompt)
        self._late: set[str] = set()

    def look(self, record: Record) -> frozenset[str]:
        """Check one row; the columns whose cell cannot be used."""
        cells = record.cells
        bad = NOTHING_BAD
        for name in self.texts:
            value = cells.get(name)
            if type(value) is not str or not value or value.isspace():
                bad |= self._bad_text(record, name)
        for name in self.lists:
            bad |= self._bad_list(record, name)
        if self.labels is not None:
            bad |= self._bad_label(record, self.labels)
        if self.texts and cells.get(self.texts[0]) == self.texts[0] and list(cells.values()) == list(cells):
            self.add(
                "repeated_header", "The header stands here again; delete the line.", line=record.line, row=record.row
            )
        if cells.keys() != self.columns:
            self._check_keys(record)
        joined = self._joined(cells)
        self.lengths[len(joined)] += 1
        if not bad:
            counted = without_identifiers(cells) if self.has_identifiers else cells
            self.repeats.add(record, counted, self._joined(counted) if self.has_identifiers else joined)
        self.content.add(record, joined)
        if self.text is not None and isinstance(value := cells.get(self.text), str):
            self.turns.add(value)
        if self.pair is not None and self.pair[0] not in bad:
            self._check_pair(record)
        return bad

    def _joined(self, cells: dict[str, object]) -> str:
        """Every text of the row, in the order of the columns."""
        if tuple(cells) != self.order:
            cells = {name: cells[name] for name in (*self.order, *sorted(cells.keys() - self.columns)) if name in cells}
        try:
            return "\n".join(cells.values())  # type: ignore[arg-type]  # lists raise, and are taken apart then
        except TypeError:
            return "\n".join(texts(cells.values()))

    def _bad_text(self, record: Record, name: str) -> frozenset[str]:
        value = record.cells.get(name)
        add = partial(self.add, line=record.line, row=record.row, column=name)
        if name not in record.cells:
            meant = nearest(name, list(record.cells))
            hint = f"; it has {shown(meant)}, perhaps misspelt" if meant else ""
            add("missing_key", f"The row has no {shown(name)}{hint}; add it or drop the row.")
        elif not isinstance(value, str):
            kind = _kind(value)
            advice = "fill it in or drop the row" if value is None else "write it as text in double quotes"
            words = f"{shown(name)} is {kind}, not a string; {advice}."
            add("wrong_type", words)
        elif name in OPTIONAL:
            return NOTHING_BAD
        elif not value:
            add("empty_cell", f"{shown(name)} is empty: fill it in or drop the row.", fix="drop_empty_rows")
        else:
            words = f"{shown(name)} holds nothing but blanks: fill it in or drop the row."
            add("blank_cell", words, fix="drop_empty_rows")
            return NOTHING_BAD
        return frozenset((name,))

    def _bad_label(self, record: Record, labels: Labels) -> frozenset[str]:
        is_label = labels.look(record.cells.get(labels.column), record.line, record.row)
        return NOTHING_BAD if is_label else frozenset((labels.column,))

    def _bad_list(self, record: Record, name: str) -> frozenset[str]:
        if name not in record.cells:
            words = f"The row has no {shown(name)}; add it or drop the row."
            self.add("missing_key", words, line=record.line, row=record.row, column=name)
            return frozenset((name,))
        if words := unheeded(record.cells[name]):
            words = f"{shown(name)}: {words}."
            self.add("unheeded_key", words, line=record.line, row=record.row, column=name)
        try:
            faults = faults_of(messages_of(record.cells[name]), self.parts.get(name, "prompt"))
        except BadMessages as error:
            faults = [error]
        for fault in faults:
            self.add(fault.code, f"{shown(name)}: {fault.text}.", line=record.line, row=record.row, column=name)
        return frozenset((name,)) if any(fault.code == "bad_messages" for fault in faults) else NOTHING_BAD

    def _check_keys(self, record: Record) -> None:
        """Keys that the first rows did not have are not read; each is named once."""
        for name in record.cells.keys() - self.columns - self._late:
            self._late.add(name)
            words = (
                f"{shown(name)} appears here for the first time; it is not used. Give it to every row, or take it out."
            )
            self.add("late_column", words, line=record.line, row=record.row, column=name)

    def _check_pair(self, record: Record) -> None:
        one, other = self.pair or ("", "")
        if are_equal(record.cells.get(one), record.cells.get(other)):
            words = f"{shown(one)} and {shown(other)} are the same, so nothing is preferred: mend one or drop the row."
            self.add("equal_pair", words, line=record.line, row=record.row, fix="drop_equal_pairs")


def are_equal(chosen: object, rejected: object) -> bool:
    """Whether two answers are the same but for white space around them."""
    if isinstance(chosen, str) and isinstance(rejected, str):
        return chosen == rejected or (
            (chosen[:1] == rejected[:1] or chosen[:1].isspace() or rejected[:1].isspace())
            and chosen.strip() == rejected.strip()
        )
    return chosen is not None and chosen == rejected


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")
