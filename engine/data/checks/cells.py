"""Looking at one row after the other: what is wrong in its cells, and what is to be counted over all of them.

Most rows are clean, so that each check begins with a test that runs at memory speed over the whole row.
"""

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial

from engine.data.columns import OPTIONAL, nearest
from engine.data.findings import Add
from engine.data.reading import Record
from engine.data.shown import shown
from engine.data.turns import LITERAL_NEWLINE, BadMessages, TurnCount, faults_of, messages_of

CONTROLS = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
BIDI = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SECRETS: Mapping[str, re.Pattern[str]] = {
    "Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{30,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bxapp-[A-Za-z0-9-]{10,}"),
    "API key (sk-…)": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "AWS access key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----)?"),
    "GitHub token": re.compile(r"\bghp_[A-Za-z0-9]{30,}|\bgithub_pat_[A-Za-z0-9_]{30,}"),
    "Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
}
NOTHING_BAD: frozenset[str] = frozenset()


class CellChecks:
    """`needed` are the columns whose cells must not be empty, `lists` those that hold messages, `whole` those of them
    that hold conversations from beginning to end (a chosen answer is only the end of one),
    `pair` the chosen and rejected columns or None, `text` the column that may hold turn markers or None."""

    def __init__(
        self,
        columns: Iterable[str],
        needed: Iterable[str],
        lists: frozenset[str],
        whole: frozenset[str],
        pair: tuple[str, str] | None,
        text: str | None,
        add: Add,
    ) -> None:
        self.columns = frozenset(columns)
        self.texts = tuple(name for name in needed if name not in lists)
        self.lists = tuple(name for name in needed if name in lists)
        self.whole = whole
        self.pair = pair
        self.text = text
        self.add = add
        self.lengths = array("L")
        self.seen: dict[int, int] = {}
        self.turns = TurnCount()
        self.secrets: Counter[str] = Counter()
        self.literal_newlines = 0
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
        if self.texts and cells.get(self.texts[0]) == self.texts[0] and list(cells.values()) == list(cells):
            self.add("repeated_header", "The header stands here again.", line=record.line, row=record.row)
        if cells.keys() != self.columns:
            self._check_keys(record)
        try:
            joined = "\n".join(cells.values())  # type: ignore[arg-type]  # lists raise, and are taken apart then
        except TypeError:
            joined = "\n".join(_texts(cells.values()))
        self.lengths.append(len(joined))
        self._check_duplicate(record)
        self._check_content(record, joined)
        if self.text is not None and isinstance(value := cells.get(self.text), str):
            self.turns.add(value)
        if self.pair is not None and self.pair[0] not in bad:
            self._check_pair(record)
        return bad

    def _bad_text(self, record: Record, name: str) -> frozenset[str]:
        value = record.cells.get(name)
        add = partial(self.add, line=record.line, row=record.row, column=name)
        if name not in record.cells:
            meant = nearest(name, list(record.cells))
            hint = f"; it has {shown(meant)}, perhaps misspelt" if meant else ""
            add("missing_key", f"The row has no {shown(name)}{hint}.")
        elif not isinstance(value, str):
            kind = _kind(value)
            words = f"{shown(name)} is {kind}, not a string; put it in double quotes."
            add("wrong_type", words)
        elif name in OPTIONAL:
            return NOTHING_BAD
        elif not value:
            add("empty_cell", f"{shown(name)} is empty.", fix="drop_empty_rows")
        else:
            words = f"{shown(name)} holds nothing but blanks."
            add("blank_cell", words, fix="drop_empty_rows")
            return NOTHING_BAD
        return frozenset((name,))

    def _bad_list(self, record: Record, name: str) -> frozenset[str]:
        if name not in record.cells:
            self.add("missing_key", f"The row has no {shown(name)}.", line=record.line, row=record.row, column=name)
            return frozenset((name,))
        try:
            faults = faults_of(messages_of(record.cells[name]), is_whole=name in self.whole)
        except BadMessages as error:
            faults = [error]
        for fault in faults:
            self.add(fault.code, f"{shown(name)}: {fault.text}.", line=record.line, row=record.row, column=name)
        return frozenset((name,)) if any(fault.code == "bad_messages" for fault in faults) else NOTHING_BAD

    def _check_keys(self, record: Record) -> None:
        """Keys that the first rows did not have are not read; each is named once."""
        for name in record.cells.keys() - self.columns - self._late:
            self._late.add(name)
            words = f"{shown(name)} appears here for the first time; it is not used."
            self.add("late_column", words, line=record.line, row=record.row, column=name)

    def _check_duplicate(self, record: Record) -> None:
        first = self.seen.setdefault(hash_of(record.cells), record.row)
        if first != record.row:
            words = f"The row is the same as row {first}."
            self.add("duplicate_row", words, line=record.line, row=record.row, fix="drop_duplicates")

    def _check_pair(self, record: Record) -> None:
        chosen, rejected = (record.cells.get(name) for name in self.pair or ())
        if chosen == rejected and chosen is not None:
            words = f"{shown((self.pair or ('',))[0])} and {shown((self.pair or ('', ''))[1])} are the same."
            self.add("equal_pair", words, line=record.line, row=record.row, fix="drop_equal_pairs")

    def _check_content(self, record: Record, joined: str) -> None:
        if "\\n" in joined and LITERAL_NEWLINE.search(joined):
            self.literal_newlines += 1
            self._report(record, "literal_newline", LITERAL_NEWLINE, "holds backslash-n as two characters", "unescape")
        data = joined.encode()
        has_c1 = len(data) != len(joined) and b"\xc2" in data
        if has_c1 or len(data.translate(None, CONTROLS)) != len(data):
            self._report(record, "control_character", CONTROL, "holds a control character")
        if len(data) != len(joined) and (b"\xe2\x80" in data or b"\xe2\x81" in data):
            self._report(record, "bidi_character", BIDI, "holds a character that turns the direction of writing")
        if may_hold_secret(data):
            self._check_secrets(record, joined)

    def _report(self, record: Record, code: str, pattern: re.Pattern[str], words: str, fix: str = "") -> None:
        for name, value in record.cells.items():
            found = pattern.search(value) if isinstance(value, str) else None
            if found:
                near = shown(found.string[max(0, found.start() - 12) : found.end() + 12], 30)
                text = f"{shown(name)} {words}: {near}."
                self.add(code, text, line=record.line, row=record.row, column=name, fix=fix)

    def _check_secrets(self, record: Record, joined: str) -> None:
        """Counted and placed, never repeated."""
        for kind, pattern in SECRETS.items():
            if pattern.search(joined):
                self.secrets[kind] += 1
                words = f"The row seems to hold a secret ({kind}); take it out and revoke it."
                self.add("secret", words, line=record.line, row=record.row, fix="mask_secrets")


def hash_of(cells: Mapping[str, object]) -> int:
    """64 bits that are the same for equal rows, whatever the order of their columns."""
    try:
        return hash(frozenset(cells.items()))
    except TypeError:
        return hash(repr(sorted(cells.items())))


def may_hold_secret(data: bytes) -> bool:
    """Whether a row holds the beginning of any secret; written out, since every row passes here."""
    return (
        b"hf_" in data
        or b"sk-" in data
        or b"xox" in data
        or b"xapp-" in data
        or b"AKIA" in data
        or b"PRIVATE KEY" in data
        or b"ghp_" in data
        or b"github_pat_" in data
        or b"AIza" in data
    )


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), "something else")


def _texts(values: Iterable[object]) -> Iterable[str]:
    """Every text in a row of JSON, whatever it is nested in; numbers as they print."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, dict):
            yield from _texts(value.values())
        else:
            yield repr(value)
