"""Writing the mended rows: every other byte as it was, or all of it in another format."""

import csv
import itertools
import json
from collections.abc import Iterator
from typing import BinaryIO, TextIO

from engine.data.fixes.mending import Cells, Mending
from engine.data.reading import Reading, Record
from engine.data.reading.csv_rows import CsvReading
from engine.data.reading.files import without_bom


def rewrite(reading: Reading, mending: Mending, target: TextIO, *, as_csv: bool) -> None:
    """All rows in another format."""
    mending.say_renames()
    kind = "CSV" if as_csv else "JSONL"
    mending.changes.add(None, f"The file was {reading.shape.format.upper()} and is {kind} now.")
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


def keep(lines: Iterator[bytes], reading: Reading, mending: Mending, target: BinaryIO) -> None:
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
