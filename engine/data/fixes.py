"""Mending what is mechanical. `apply` writes a new file, byte for byte the old one except where a fix changes it,
and says each change; the original stays."""

import csv
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from engine.data.checks.cells import SECRETS, hash_of
from engine.data.columns import OPTIONAL, mapping_for, renames_for
from engine.data.findings import Findings
from engine.data.reading import Reading, Record, read
from engine.data.reading.csv_rows import CsvReading
from engine.data.reading.files import BOMS, open_bytes, raw_lines, without_bom
from engine.data.shown import shown
from engine.data.turns import unescape
from engine.refusal import Refusal

FIXES: Mapping[str, str] = {
    "convert_encoding": "write the file as UTF-8",
    "rename_columns": "rename misspelt columns",
    "unescape": "turn backslash-n into line breaks",
    "mask_secrets": "replace secrets by a mask",
    "drop_empty_rows": "drop rows with an empty cell",
    "drop_duplicates": "drop rows that repeat an earlier one",
    "drop_equal_pairs": "drop rows whose two answers are the same",
    "to_csv": "write comma-separated CSV",
    "to_jsonl": "write JSONL",
}
"""Every fix by name, in the words of a button."""

MASK = "[removed]"
Cells = dict[str, object]


@dataclass(frozen=True)
class Change:
    """What was changed: in which physical line of the old file, and how in words."""

    line: int | None
    text: str

    def words(self) -> str:
        return f"Line {self.line}: {self.text}" if self.line is not None else self.text


def apply(path: Path, out: Path, fixes: Sequence[str], mapping: Mapping[str, str] | None = None) -> list[Change]:
    """Write `path` to `out` with the fixes. `mapping` (role → column) renames those columns to their roles.

    Raises Refusal for a fix that is none, and CannotRead where there are no rows to mend.
    """
    if unknown := [fix for fix in fixes if fix not in FIXES]:
        raise Refusal(f"There is no fix {shown(unknown[0])}. There are {', '.join(FIXES)}.", "fixes")
    changes: list[Change] = []
    with tempfile.TemporaryDirectory() as folder:
        source = path
        if "convert_encoding" in fixes:
            source = Path(folder) / path.name
            changes += convert(path, source)
        reading = read(source, path.name, Findings().add)
        mending = _Mending(reading, fixes, mapping or {}, changes)
        if {"to_csv", "to_jsonl"} & set(fixes) or reading.shape.format in ("json", "parquet"):
            with out.open("w", encoding="utf-8", newline="") as target:
                _rewrite(reading, mending, target, as_csv="to_csv" in fixes)
        else:
            with open_bytes(source) as lines, out.open("wb") as copy:
                _copy(raw_lines(lines, reading.shape.ends_with_cr), reading, mending, copy)
    return changes


def convert(path: Path, out: Path) -> list[Change]:
    """Write `path` as UTF-8: from UTF-16 or UTF-32, else line by line from cp1252 or Latin-1 where it is no UTF-8."""
    with open_bytes(path) as file:
        head = file.read(4096)
    encoding = next((name for bom, name in BOMS if head.startswith(bom)), "")
    if not encoding and head[1::2].count(0) > len(head) // 4:
        encoding = "utf-16-le"
    if not encoding and head[0::2].count(0) > len(head) // 4:
        encoding = "utf-16-be"
    with open_bytes(path) as file, out.open("wb") as target:
        if encoding:
            text = _decoded(file.read(), encoding)
            target.write(text.removeprefix("\ufeff").encode())
            return [Change(None, f"The file was {encoding.upper()} and is UTF-8 now.")]
        changes = []
        for number, raw in enumerate(raw_lines(file, ends_with_cr=False), 1):
            name, line = _utf8(raw)
            target.write(line)
            if name:
                changes.append(Change(number, f"{name} became UTF-8: {shown(line.decode().strip(), 60)}"))
    return changes


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        words = f"The file looks like {encoding.upper()}, but breaks off at byte {error.start + 1:,}; save it as UTF-8."
        raise Refusal(words, "file") from None


def _utf8(raw: bytes) -> tuple[str, bytes]:
    for encoding, name in (("utf-8", ""), ("cp1252", "cp1252"), ("latin-1", "Latin-1")):
        try:
            return name, raw.decode(encoding).encode()
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes every byte")


class _Mending:
    """The fixes as questions about one row: `cells` may change, or be dropped (None)."""

    def __init__(
        self, reading: Reading, fixes: Sequence[str], mapping: Mapping[str, str], changes: list[Change]
    ) -> None:
        self.changes = changes
        self.renames: dict[str, str] = {}
        if "rename_columns" in fixes:
            chosen = {column: role for role, column in mapping.items()}
            self.renames = chosen or renames_for(reading.columns)
        self.columns = tuple(self.renames.get(name, name) for name in reading.columns)
        way = self._way(reading)
        self._needed = [column for role, column in way.items() if role not in OPTIONAL]
        self._pair = (way.get("text", ""), way.get("rejected_text", ""))
        self._seen: dict[int, int] = {}
        self._steps: list[Callable[[Record, Cells], Cells | None]] = []
        steps = {
            "unescape": self._unescape,
            "mask_secrets": self._mask,
            "drop_empty_rows": self._drop_empty,
            "drop_equal_pairs": self._drop_equal,
            "drop_duplicates": self._drop_duplicate,
        }
        self._steps = [step for name, step in steps.items() if name in fixes]

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

    def _unescape(self, record: Record, cells: Cells) -> Cells:
        changed = {name: unescape(value) if isinstance(value, str) else value for name, value in cells.items()}
        for name, value in changed.items():
            if value != cells[name]:
                self._say(record, f"backslash-n became a line break in {shown(name)}.")
        return changed

    def _mask(self, record: Record, cells: Cells) -> Cells:
        changed = {name: masked(value) if isinstance(value, str) else value for name, value in cells.items()}
        for name, value in changed.items():
            if value != cells[name]:
                self._say(record, f"a secret was masked in {shown(name)}.")
        return changed

    def _drop_empty(self, record: Record, cells: Cells) -> Cells | None:
        for name in self._needed:
            value = cells.get(name)
            if value is None or (isinstance(value, str) and not value.strip()):
                self._say(record, f"row {record.row} was dropped: {shown(name)} is empty.")
                return None
        return cells

    def _drop_equal(self, record: Record, cells: Cells) -> Cells | None:
        chosen, rejected = (cells.get(name) for name in self._pair)
        if chosen is not None and chosen == rejected:
            self._say(record, f"row {record.row} was dropped: both answers are the same.")
            return None
        return cells

    def _drop_duplicate(self, record: Record, cells: Cells) -> Cells | None:
        first = self._seen.setdefault(hash_of(cells), record.row)
        if first != record.row:
            self._say(record, f"row {record.row} was dropped: it repeats row {first}.")
            return None
        return cells


def masked(text: str) -> str:
    for pattern in SECRETS.values():
        text = pattern.sub(MASK, text)
    return text


def _rewrite(reading: Reading, mending: _Mending, target: TextIO, *, as_csv: bool) -> None:
    """All rows in another format."""
    mending.say_renames()
    kind = "CSV" if as_csv else "JSONL"
    mending.changes.append(Change(None, f"The file was {reading.shape.format.upper()} and is {kind} now."))
    writer = csv.writer(target, lineterminator="\n")
    if as_csv:
        writer.writerow(mending.columns)
    for record in reading.rows:
        cells = mending.mend(record)
        if cells is None:
            continue
        if as_csv:
            writer.writerow([_text(cells.get(name, "")) for name in mending.columns])
        else:
            target.write(_json_line(cells))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _json_line(cells: Cells) -> str:
    return json.dumps(cells, ensure_ascii=False, default=str) + "\n"


def _copy(lines: Iterator[bytes], reading: Reading, mending: _Mending, target: BinaryIO) -> None:
    """All lines as they are, but for rows that a fix changes or drops. Faulty lines are copied byte for byte."""
    mending.say_renames()
    at = 0
    if isinstance(reading.source, CsvReading) and mending.renames:
        first, at = reading.source.header_lines
        target.writelines(itertools.islice(lines, first - 1))
        raw = b"".join(itertools.islice(lines, at - first + 1))
        bare = without_bom(raw)
        text = bare.decode(errors="surrogateescape")
        row = _changed_row(text, list(reading.columns), list(mending.columns), reading.shape.delimiter)
        target.write(raw[: len(raw) - len(bare)] + row.encode(errors="surrogateescape"))
    for record in reading.rows:
        first, last = record.line or 1, record.last or 1
        target.writelines(itertools.islice(lines, first - 1 - at))
        raw = b"".join(itertools.islice(lines, last - first + 1))
        at = last
        cells = mending.mend(record)
        if cells is not None:
            target.write(_row_bytes(raw, record, cells, reading))
    target.writelines(lines)


def _row_bytes(raw: bytes, record: Record, cells: Cells, reading: Reading) -> bytes:
    is_csv = reading.shape.format == "csv"
    if list(cells.values()) == list(record.cells.values()) and (is_csv or cells.keys() == record.cells.keys()):
        return raw
    if not is_csv:
        return _json_line(cells).encode()
    old, new = list(record.cells.values()), list(cells.values())
    delimiter = reading.shape.delimiter
    return _changed_row(raw.decode(), [str(cell) for cell in old], [str(cell) for cell in new], delimiter).encode()


def _changed_row(raw: str, old: list[str], new: list[str], delimiter: str) -> str:
    """A CSV record in which only the cells that differ are written anew."""
    end = raw[len(raw.rstrip("\r\n")) :]
    pieces = raw_cells(raw[: len(raw) - len(end)], delimiter)
    pairs = zip(pieces, old, new, strict=True)
    return delimiter.join(piece if was == now else _quoted(now) for piece, was, now in pairs) + end


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',;\t|"\r\n') else cell


def raw_cells(raw: str, delimiter: str) -> list[str]:
    """The cells of one good CSV record as they are written, quotes included."""
    cells, start, position = [], 0, 0
    while position < len(raw):
        if position == start and raw[position] == '"':
            position = _after_quotes(raw, position)
        elif raw[position] == delimiter:
            cells.append(raw[start:position])
            start = position = position + 1
        else:
            position += 1
    return [*cells, raw[start:]]


def _after_quotes(raw: str, position: int) -> int:
    """Behind the quote that closes the one at `position`; a doubled one does not close."""
    while True:
        position = raw.index('"', position + 1)
        if raw[position + 1 : position + 2] != '"':
            return position + 1
        position += 1
