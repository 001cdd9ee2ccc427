"""Which rows repeat an earlier one once the other fixes were applied, found in a pass of its own in flat memory."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from engine.data.checks.content import texts
from engine.data.checks.repeats import MASK, NO_LINE, Spilled, alike, hash_of, without_identifiers
from engine.data.fixes.mending import Mending
from engine.data.reading import Reading

BITS = 32
"""Of a row's number: a file has fewer rows than 2**32."""


@dataclass(frozen=True)
class Repeated:
    """Rows and the earlier rows that they repeat, both in one number, in the file's order."""

    same: "array[int]"
    near: "array[int]"

    def asked(self) -> "Asked":
        return Asked(self)


class Asked:
    """Answers for one row after the other, in the file's order."""

    def __init__(self, repeated: Repeated) -> None:
        self._pairs = {"same": pairs(repeated.same), "near": pairs(repeated.near)}
        self._next = {name: next(found, None) for name, found in self._pairs.items()}

    def first(self, row: int, kind: str) -> int | None:
        """The earlier row that `row` repeats, exactly (same) or but for case and spaces (near); None for none."""
        while (pair := self._next[kind]) is not None and pair[0] < row:
            self._next[kind] = next(self._pairs[kind], None)
        return pair[1] if pair is not None and pair[0] == row else None


def pairs(packed: "array[int]") -> Iterator[tuple[int, int]]:
    return ((number >> BITS, number & ((1 << BITS) - 1)) for number in packed)


def repeated(reading: Reading, mending: Mending) -> Repeated:
    """One pass over the rows as `mending` leaves them. Hashes are spilled to disk."""
    table = Spilled()
    try:
        for record in reading.rows:
            cells = mending.mend(record)
            if cells is not None:
                counted = without_identifiers(cells)
                folded, whole = alike("\n".join(texts(counted[name] for name in sorted(counted)))), hash_of(counted)
                table.add((folded & MASK, whole & MASK, record.row, NO_LINE))
        return _found(table)
    finally:
        table.close()


def _found(table: Spilled) -> Repeated:
    same, near = array("Q"), array("Q")
    for part in table.partitions():
        firsts: dict[int, tuple[int, int]] = {}
        exact: dict[int, int] = {}
        for folded, whole, row, _ in part:
            first = exact.setdefault(whole, row)
            first_alike, its_whole = firsts.setdefault(folded, (row, whole))
            if first != row:
                same.append(row << BITS | first)
            if its_whole != whole:
                near.append(row << BITS | first_alike)
    return Repeated(array("Q", sorted(same)), array("Q", sorted(near)))
