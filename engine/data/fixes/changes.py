"""What a fix changed: each change in words, with the physical line of the old file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

MOST_KEPT = 1_000


@dataclass(frozen=True)
class Change:
    """What was changed: in which physical line of the old file, and how in words."""

    line: int | None
    text: str

    def words(self) -> str:
        return f"Line {self.line}: {self.text}" if self.line is not None else self.text


@dataclass(frozen=True)
class Written:
    """What is to stand in a cell. `how` says in words what became of it; empty where a person wrote it."""

    text: str
    how: str = ""


Shorten = Callable[[Mapping[str, object]], Mapping[str, Written]]
"""A row by the file's own columns → the cells of it that are cut, by column."""


class Changes:
    """Takes changes as they happen: each goes to `listing` at once, the first thousand are kept, all are counted."""

    def __init__(self, listing: TextIO | None = None) -> None:
        self._listing = listing
        self._first: list[Change] = []
        self._number = 0

    def add(self, line: int | None, text: str) -> None:
        change = Change(line, text)
        self._number += 1
        if len(self._first) < MOST_KEPT:
            self._first.append(change)
        if self._listing is not None:
            self._listing.write(f"{change.words()}\n")

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[Change]:
        """The first ones."""
        return iter(self._first)
