"""Reading an upload: `read` gives its format, its columns and its rows; faults go to `add`, all of them.

Memory stays flat whatever the size; every value stays as it stands in the file.
"""

import itertools
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engine.data.findings import Add, Findings
from engine.data.reading import parquet_rows
from engine.data.reading.archives import CannotRead, open_bytes, unpacked
from engine.data.reading.csv_rows import CsvReading, Record
from engine.data.reading.files import Lines, Pieces, read_head
from engine.data.reading.json_rows import JsonReading
from engine.data.reading.parquet_rows import ParquetReading
from engine.data.reading.sniff import Shape, sniff
from engine.data.turns import looks_like_messages

__all__ = ["CannotRead", "Reading", "Record", "Shape", "lines_of", "read"]

Source = CsvReading | JsonReading | ParquetReading

ROWS_LOOKED_AT = 1_000
"""So many rows say which columns a JSONL file has, and which columns hold conversations."""


@dataclass(frozen=True)
class Reading:
    """An opened file: iterate `rows` once, then `blank_lines` is known. `lists` are the columns of
    conversations, `first_line` is where the columns are named first."""

    shape: Shape
    columns: tuple[str, ...]
    lists: frozenset[str]
    first_line: int | None
    rows: Iterator[Record]
    source: Source

    @property
    def rows_seen(self) -> int:
        """Data rows up to here, faulty ones included."""
        return self.source.row

    @property
    def blank_lines(self) -> int:
        return self.source.blank_lines


def read(path: Path, name: str, add: Add) -> Reading:
    """Open `path`, which people call `name`. Raises CannotRead where the file as a whole gives no rows."""
    with open_bytes(path) as head:
        is_parquet = head.read(4) == parquet_rows.MAGIC
    if is_parquet:
        return _reading(Shape("parquet", "", False), _parquet(path, add))
    shape = sniff(read_head(path), name)
    file = open_bytes(path)
    lines = Pieces(file, add) if shape.format == "json" else Lines(file, shape.ends_with_cr, add)
    if shape.format == "csv":
        table = CsvReading(lines, shape.delimiter, add)
        return _reading(shape, table, _until_end(iter(table), lines, file))
    objects = JsonReading(lines, shape.format == "json", add)
    return _reading(shape, objects, _until_end(iter(objects), lines, file))


def _parquet(path: Path, add: Add) -> ParquetReading:
    with path.open("rb") as file:
        is_bare = file.read(4) == parquet_rows.MAGIC
    if is_bare:
        return ParquetReading(path, add)
    with unpacked(path) as inner:
        return ParquetReading(inner, add)


def lines_of(path: Path, name: str, rows: Collection[int]) -> dict[int, int]:
    """The physical lines of data rows, where the file has lines; reads no further than the last of them."""
    left, found = set(rows), dict[int, int]()
    for record in read(path, name, Findings().add).rows if left else ():
        if record.row in left:
            left.discard(record.row)
            if record.line is not None:
                found[record.row] = record.line
            if not left:
                break
    return found


def _reading(shape: Shape, source: Source, rows: Iterator[Record] | None = None) -> Reading:
    """Look at the first rows, then give them again with the rest."""
    rows = iter(source) if rows is None else rows
    first = list(itertools.islice(rows, ROWS_LOOKED_AT))
    if isinstance(source, JsonReading):
        columns = tuple(dict.fromkeys(key for record in first for key in record.cells))
    else:
        columns = source.columns
    if isinstance(source, CsvReading):
        line: int | None = source.header_lines[0]
    else:
        line = next((record.line for record in first), None)
    return Reading(shape, columns, _lists_in(first), line, itertools.chain(first, rows), source)


def _until_end(rows: Iterator[Record], lines: Lines, file: BinaryIO) -> Iterator[Record]:
    """The rows, and at their end what can be said only then: the encoding."""
    with file:
        yield from rows
    lines.report_encoding()


def _lists_in(first: list[Record]) -> frozenset[str]:
    """The columns that hold conversations in more rows than they hold plain text."""
    votes: Counter[str] = Counter()
    for record in first:
        for name, value in record.cells.items():
            votes[name] += 1 if looks_like_messages(value) else -1
    return frozenset(name for name, vote in votes.items() if vote > 0)
