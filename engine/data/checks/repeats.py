"""Rows that repeat or contradict earlier ones, found through 64-bit hashes that are spilled to disk.

Memory stays flat: hashes go into partitions by their first bits, full ones to a temporary file, and at the end one
partition after the other is looked at.
"""

import heapq
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from engine.data.columns import IDENTIFIERS
from engine.data.findings import MOST_ISSUES, Findings
from engine.data.reading import Record

BITS = 6
HELD = 1 << 20
"""Numbers that are kept in memory, 8 bytes each."""
WIDTH = 4
MASK = (1 << 64) - 1
NO_LINE = 0

Entry = tuple[int, int, int, int]


class Spilled:
    """A table of entries of four numbers under 2**64, partitioned by the first."""

    def __init__(self, held: int = HELD) -> None:
        self._held = held
        self._parts = [array("Q") for _ in range(1 << BITS)]
        self._runs: list[list[tuple[int, int]]] = [[] for _ in self._parts]
        self._number = 0
        self._file = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  # closed by `close`

    def add(self, entry: Entry) -> None:
        self._parts[entry[0] >> (64 - BITS)].extend(entry)
        self._number += WIDTH
        if self._number >= self._held:
            self._spill()

    def _spill(self) -> None:
        for part, runs in zip(self._parts, self._runs, strict=True):
            runs.append((self._file.tell(), len(part)))
            self._file.write(part.tobytes())
            del part[:]
        self._number = 0

    def partitions(self) -> Iterator[Iterator[Entry]]:
        """Equal first numbers are in one partition; in it the entries come in the order they were added."""
        for part, runs in zip(self._parts, self._runs, strict=True):
            whole = array("Q")
            for offset, length in runs:
                self._file.seek(offset)
                whole.frombytes(self._file.read(length * whole.itemsize))
            whole.extend(part)
            numbers = iter(whole)
            yield cast(Iterator[Entry], zip(numbers, numbers, numbers, numbers, strict=True))

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, order=True)
class Repeat:
    """A row (the later one) and the earlier row that it meets. `line` is 0 where the format has no lines."""

    row: int
    line: int
    first: int


class _Firsts:
    """Counts repeats and keeps the first thousand in the file's order."""

    def __init__(self) -> None:
        self.number = 0
        self._kept: list[tuple[int, int, int]] = []

    def add(self, repeat: Repeat) -> None:
        self.number += 1
        item = (-repeat.row, -repeat.line, -repeat.first)
        if len(self._kept) < MOST_ISSUES:
            heapq.heappush(self._kept, item)
        else:
            heapq.heappushpop(self._kept, item)

    def in_order(self) -> list[Repeat]:
        return [Repeat(-row, -line, -first) for row, line, first in sorted(self._kept, reverse=True)]


class Repeats:
    """Equal rows, rows equal but for case and spaces, and preference pairs that contradict each other."""

    def __init__(self, pair: tuple[str, str] | None, prompt: str | None) -> None:
        self._rows = Spilled()
        self._answers = Spilled()
        self._pair = pair
        self._prompt = prompt

    def add(self, record: Record, cells: dict[str, object], text: str) -> None:
        """`cells` are those that count, `text` every text in them."""
        same = hash_of(cells)
        self._rows.add((alike(text) & MASK, same & MASK, record.row, record.line or NO_LINE))
        if self._pair is not None:
            self._add_answers(record, self._pair)

    def _add_answers(self, record: Record, pair: tuple[str, str]) -> None:
        chosen, rejected = (_as_text(record.cells.get(name)) for name in pair)
        if chosen == rejected:
            return
        prompt = _as_text(record.cells.get(self._prompt)) if self._prompt else ""
        for is_chosen, answer in enumerate((rejected, chosen)):
            self._answers.add((hash((prompt, answer)) & MASK, is_chosen, record.row, record.line or NO_LINE))

    def report(self, findings: Findings) -> None:
        """Say all of them."""
        same, near = self._repeats()
        words = "The row is the same as row {}; drop it unless it is to count twice."
        _say(findings, "duplicate_row", same, words, "drop_duplicates")
        words = "The row is the same as row {} but for case and spaces; drop one unless both are meant."
        _say(findings, "near_duplicate", near, words, "drop_near_duplicates")
        words = "The row prefers the answer that row {} rejects, for the same prompt; keep one of them."
        _say(findings, "conflicting_pair", self._conflicts(), words, "")

    def close(self) -> None:
        self._rows.close()
        self._answers.close()

    def _repeats(self) -> tuple[_Firsts, _Firsts]:
        same, near = _Firsts(), _Firsts()
        for part in self._rows.partitions():
            firsts: dict[int, int] = {}
            exact: dict[int, int] = {}
            for folded, whole, row, line in part:
                first, first_alike = exact.setdefault(whole, row), firsts.setdefault(folded, row)
                if first != row:
                    same.add(Repeat(row, line, first))
                elif first_alike != row:
                    near.add(Repeat(row, line, first_alike))
        return same, near

    def _conflicts(self) -> _Firsts:
        found, was_said = _Firsts(), bytearray()
        for part in self._answers.partitions():
            sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
            for key, is_chosen, row, line in part:
                other = sides[1 - is_chosen].get(key)
                if other is not None and other != row and not was_said[row : row + 1].strip(b"\0"):
                    was_said.extend(bytes(max(0, row + 1 - len(was_said))))
                    was_said[row] = 1
                    found.add(Repeat(row, line, other))
                sides[is_chosen].setdefault(key, row)
        return found


def _say(findings: Findings, code: str, found: _Firsts, words: str, fix: str) -> None:
    kept = found.in_order()
    for repeat in kept:
        findings.add(code, words.format(repeat.first), line=repeat.line or None, row=repeat.row, fix=fix)
    if found.number > len(kept):
        findings.counts[code] += found.number - len(kept)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def alike(text: str) -> int:
    """64 bits that are the same for texts that differ only in case and white space."""
    return hash((text.lower() if text.isascii() else text.casefold()).encode().translate(None, b" \t\r\n"))


def without_identifiers(cells: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in cells.items() if name not in IDENTIFIERS}


def hash_of(cells: dict[str, object]) -> int:
    """64 bits that are the same for equal rows, whatever the order of their columns."""
    try:
        return hash(frozenset(cells.items()))
    except TypeError:
        return hash(repr(sorted(cells.items())))
