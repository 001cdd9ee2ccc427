"""What only a person can mend: a few cells that are empty, wrong or no conversation, with what stands beside them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from engine.data.findings import Findings
from engine.data.reading import read
from engine.data.types import Report

CODES = frozenset({"empty_cell", "blank_cell", "wrong_type", "missing_key", "bad_label", "bad_messages", "empty_turn"})
MOST = 5
"""So many fit a form."""
LARGEST_FILE = 50_000_000
"""Bytes; a larger file is not read a second time for this."""
LONGEST_CELL = 3_000
BESIDE = 60


@dataclass(frozen=True)
class Gap:
    """The cell of `column` in `row`, at a physical `line`; `value` is what stands there, a conversation as JSON;
    `beside` begins the longest other cell of the row."""

    row: int
    line: int | None
    column: str
    value: str
    beside: str


def gaps(path: Path, report: Report) -> list[dict[str, object]]:
    """The gaps of a file that has at most five and no fault in its structure; none otherwise."""
    places = {
        (issue.row, issue.column): issue.line
        for issue in report.issues
        if issue.code in CODES and issue.row is not None and issue.column is not None
    }
    counted = sum(report.counts.get(code, 0) for code in CODES)
    if not 0 < len(places) <= MOST or counted > 2 * MOST or report.bytes > LARGEST_FILE:
        return []
    found = _cells(path, report, {row for row, _ in places})
    made = [_gap(row, line, column, found[row]) for (row, column), line in sorted(places.items()) if row in found]
    fits = len(made) == len(places) and all(len(gap.value) <= LONGEST_CELL for gap in made)
    return [asdict(gap) for gap in made] if fits else []


def _cells(path: Path, report: Report, rows: set[int]) -> dict[int, Mapping[str, object]]:
    found: dict[int, Mapping[str, object]] = {}
    for record in read(path, report.file, Findings().add).rows:
        if record.row in rows:
            found[record.row] = dict(record.cells)
            if len(found) == len(rows):
                break
    return found


def _gap(row: int, line: int | None, column: str, cells: Mapping[str, object]) -> Gap:
    beside = max((_text(value) for name, value in cells.items() if name != column), key=len, default="")
    return Gap(row, line, column, _text(cells.get(column)), beside[:BESIDE])


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def filled(texts: Sequence[Mapping[str, object]]) -> dict[tuple[int, str], str]:
    """What a person wrote, by row and column, from a list of `{row, column, value}`."""
    return {(int(str(item["row"])), str(item["column"])): str(item["value"]) for item in texts}
