"""What the content looks like: CSV with which delimiter, JSONL, or a JSON array. The name is only a hint."""

import csv
import io
import json
from dataclasses import dataclass

from engine.data.columns import KNOWN, normalised

DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Shape:
    """`format` is csv, jsonl or json; `delimiter` is empty except for csv."""

    format: str
    delimiter: str
    ends_with_cr: bool


def sniff(head: bytes, name: str) -> Shape:
    """`head` is the beginning of the file without a BOM."""
    ends_with_cr = b"\n" not in head and b"\r" in head.rstrip(b"\r")
    text = head.decode("utf-8", "replace")
    start = text.lstrip(" \t\r\n")
    delimiter, known = best_delimiter(text.replace("\r", "\n") if ends_with_cr else text)
    if known:
        return Shape("csv", delimiter, ends_with_cr)
    if start.startswith("{"):
        return Shape("jsonl", "", ends_with_cr)
    suffix = name.lower().removesuffix(".gz").removesuffix(".zip").rpartition(".")[2]
    if start.startswith("[") and _has_list_a_line(start):
        return Shape("jsonl", "", ends_with_cr)
    if start.startswith("[") and (suffix in ("json", "jsonl", "ndjson") or start[1:].lstrip()[:1] in ("{", "]")):
        return Shape("json", "", False)
    if suffix in ("json", "jsonl", "ndjson"):
        return Shape("jsonl", "", ends_with_cr)
    return Shape("csv", delimiter, ends_with_cr)


def _has_list_a_line(start: str) -> bool:
    """Whether each line is a list by itself, as the conversations on AutoTrain's page are."""
    first, line_end, rest = start.partition("\n")
    if not line_end or not rest.lstrip().startswith("["):
        return False
    try:
        return isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return False


def best_delimiter(text: str) -> tuple[str, int]:
    """The delimiter under which the header names most columns we know; else the one with the steadiest width."""
    scores = {delimiter: _score(text, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best, scores[best][0]


def _score(text: str, delimiter: str) -> tuple[int, int]:
    """(known names in the header, rows as wide as the header when that is over one)."""
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            rows.append(row)
            if len(rows) > 50:
                break
    except csv.Error:
        pass
    filled = [row for row in rows if row]
    if not filled:
        return 0, 0
    header = filled[0]
    known = sum(normalised(name) in KNOWN for name in header)
    steady = sum(len(row) == len(header) for row in filled) if len(header) > 1 else 0
    return known, steady
