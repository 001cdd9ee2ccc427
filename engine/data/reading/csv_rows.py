"""Strict CSV (RFC 4180) with exact physical lines, which goes on after each fault so that all come at once.

`csv.reader` parses; a feeder between it and the file counts lines and keeps those of the current record. After a
fault the lines of the record are looked at again: if one of them is a row by itself, the fault swallowed rows (a quote
that was never closed) and reading goes on with the record's second line; otherwise with the line after the record.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from engine.data.findings import Add
from engine.data.reading.files import LONGEST_LINE, Lines
from engine.data.shown import shown

LONGEST_RECORD = LONGEST_LINE
MOST_COLUMNS = 64


@dataclass(slots=True)
class Record:
    """A data row: its number from 1, the physical lines where it begins and ends (None where a format has no lines),
    and its cells by column."""

    row: int
    line: int | None
    last: int | None
    cells: dict[str, object]


class Runaway(Exception):
    """A record grew over the cap: a quote was opened and never closed."""


class Feeder:
    """Gives `csv.reader` one line after the other; `kept` are the lines of the record it is reading."""

    def __init__(self, lines: Lines) -> None:
        self.last = 0
        self.kept: list[str] = []
        self._lines = iter(lines)
        self._again: list[str] = []

    @property
    def first(self) -> int:
        return self.last - len(self.kept) + 1

    def feed(self) -> Iterator[str]:
        size = 0
        while True:
            text = self._again.pop() if self._again else next(self._lines, None)
            if text is None:
                return
            self.last += 1
            self.kept.append(text)
            size = size + len(text) if len(self.kept) > 1 else len(text)
            if size > LONGEST_RECORD:
                raise Runaway
            yield text

    def go_back_to_second(self) -> None:
        """Read the record again from its second line on."""
        self._again.extend(reversed(self.kept[1:]))
        self.last -= len(self.kept) - 1


class CsvReading:
    """Rows of a CSV file. After construction `columns` is the header; iterate once for the rows."""

    def __init__(self, lines: Lines, delimiter: str, add: Add) -> None:
        csv.field_size_limit(LONGEST_RECORD + 1)
        self.delimiter = delimiter
        self._lines = lines
        self._add = add
        self._feeder = Feeder(lines)
        self._reader = self._new_reader()
        self.columns: tuple[str, ...] = ()
        self.blank_lines = 0
        self.row = 0
        header = self._next_record()
        while header == []:
            header = self._next_record()
        self.columns = tuple(header or ())
        self.header_lines = (self._feeder.first, self._feeder.last)
        self._bad_header = self._is_header_bad()

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feeder.feed(), delimiter=self.delimiter, strict=True)

    def _is_header_bad(self) -> bool:
        if len(self.columns) > MOST_COLUMNS:
            words = f"The header has {len(self.columns):,} columns; at most {MOST_COLUMNS} are read. Take some out."
            self._add("too_many_columns", words, line=self._feeder.first)
            self.columns = self.columns[:MOST_COLUMNS]
            return True
        return False

    def __iter__(self) -> Iterator[Record]:
        if self._bad_header or not self.columns:
            return
        columns, width, feeder = self.columns, len(self.columns), self._feeder
        while (cells := self._next_record()) is not None:
            if not cells:
                self.blank_lines += 1
                continue
            self.row += 1
            if self._lines.bad and self._is_bad():
                continue
            if len(cells) != width:
                self._report_width(cells)
            elif self._has_no_stray_quote(cells):
                yield Record(self.row, feeder.first, feeder.last, dict(zip(columns, cells, strict=True)))

    def _is_bad(self) -> bool:
        """Whether a line of the current record could not be read."""
        is_bad = not self._lines.bad.isdisjoint(range(self._feeder.first, self._feeder.last + 1))
        self._lines.forget(self._feeder.last)
        return is_bad

    def _next_record(self) -> list[str] | None:
        """The next record that parses; None at the end. Faults before it are reported."""
        while True:
            self._feeder.kept.clear()
            try:
                return next(self._reader, None)
            except (csv.Error, Runaway) as error:
                self._report_fault(error)
                self._reader = self._new_reader()

    def _report_fault(self, error: Exception) -> None:
        feeder = self._feeder
        self.row += bool(self.columns)
        row = self.row or None
        words = str(error)
        opened = open_quote(feeder.kept, self.delimiter)
        is_unclosed = isinstance(error, Runaway) or "end of data" in words or len(feeder.kept) > 1
        if "new-line character" in words:
            text = "There is a bare carriage return outside quotes; put the cell in double quotes."
            self._add("bad_quote", text, line=feeder.first, row=row)
        elif is_unclosed and opened is not None:
            line, column = feeder.first + opened[0], opened[1]
            text = f'The double quote opened in cell {column} is not closed: close it, or double quotes inside ("").'
            self._add("unclosed_quote", text, line=line, row=row, column=self._name(column))
        else:
            text = 'A closing double quote is followed by more text; double each quote inside a cell ("").'
            self._add("bad_quote", text, line=feeder.last, row=row)
        self._resume()

    def _resume(self) -> None:
        """Where to go on after a faulty record of several lines."""
        if len(self._feeder.kept) > 1 and any(self._is_a_row(line) for line in self._feeder.kept[1:]):
            self._feeder.go_back_to_second()

    def _is_a_row(self, line: str) -> bool:
        """Whether a line by itself is a whole row; half a quoted cell has an odd number of quotes."""
        if line.count('"') % 2:
            return False
        try:
            cells = next(csv.reader([line], delimiter=self.delimiter, strict=True), [])
        except csv.Error:
            return False
        return bool(self.columns) and len(cells) == len(self.columns)

    def _name(self, number: int) -> str | None:
        return self.columns[number - 1] if 0 < number <= len(self.columns) else None

    def _report_width(self, cells: list[str]) -> None:
        feeder, width = self._feeder, len(self.columns)
        if len(feeder.kept) > 1 and width > 1 and any(self._is_a_row(line) for line in feeder.kept[1:]):
            opened = next((i for i, cell in enumerate(cells, 1) if "\n" in cell or "\r" in cell), 1)
            text = f"The double quote opened in cell {opened} is closed only lines later: close it in its cell."
            self._add("unclosed_quote", text, line=feeder.first, row=self.row, column=self._name(opened))
            feeder.go_back_to_second()
            self._reader = self._new_reader()
            return
        if len(cells) > width:
            hint = f"put a cell that holds a {named(self.delimiter)} in double quotes"
            rest = shown(self.delimiter.join(cells[width - 1 : width + 3]))
            text = f"{len(cells):,} cells, but the header names {width}; {hint}. The end reads {rest}."
            self._add("too_wide", text, line=feeder.first, row=self.row)
        else:
            number = f"{len(cells)} cell{'s' * (len(cells) > 1)}, but the header names {width}"
            text = f"{number}: add what is missing, or quote a cell with a line break. It reads {shown(cells[0])}."
            self._add("too_narrow", text, line=feeder.first, row=self.row)

    def _has_no_stray_quote(self, cells: list[str]) -> bool:
        """A quote inside an unquoted cell: one that has no partner is an error, a pair is kept as it stands."""
        raw = ""
        for name, cell in zip(self.columns, cells, strict=True):
            if '"' not in cell:
                continue
            raw = raw or "".join(self._feeder.kept)
            if '"' + cell.replace('"', '""') + '"' in raw:
                continue
            if cell.count('"') % 2:
                text = f"A double quote stands alone in {shown(cell)}; quote the whole cell and double the quote."
                self._add("stray_quote", text, line=self._feeder.first, row=self.row, column=name)
                return False
            text = (
                f"Double quotes inside an unquoted cell were kept: {shown(cell)}. Quote the cell if that is not meant."
            )
            self._add("inner_quote", text, line=self._feeder.first, row=self.row, column=name)
        return True


def named(delimiter: str) -> str:
    return {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}.get(delimiter, delimiter)


def open_quote(lines: list[str], delimiter: str) -> tuple[int, int] | None:
    """(line offset, cell number from 1) of the last quote that opens a cell and is not closed before the fault."""
    opened: tuple[int, int] | None = None
    cell, is_start = 1, True
    for offset, line in enumerate(lines):
        position = 0
        while position < len(line):
            if opened is not None:
                position = line.find('"', position)
                if position < 0:
                    break
                if line[position + 1 : position + 2] == '"':
                    position += 2
                    continue
                follows = line[position + 1 : position + 2]
                if follows not in ("", delimiter, "\r", "\n"):
                    return opened
                opened, is_start = None, False
            elif is_start and line[position] == '"':
                opened, is_start = (offset, cell), False
            elif line[position] == delimiter:
                cell, is_start = cell + 1, True
            else:
                is_start = False
            position += 1
    return opened
