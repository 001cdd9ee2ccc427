"""Rows to measure on whose prompt is trained on too: what is measured on them says nothing."""

from collections.abc import Mapping
from pathlib import Path

from engine.data.held_out import group_of
from engine.data.shown import shown
from engine.data.trainer_rows import read_source

ROWS_SHOWN = 5


def leaks(train: Path, valid: Path, way: Mapping[str, str]) -> list[tuple[int, int]]:
    """(row of `valid`, first row of `train`) wherever both have the same prompt, first turn or whole text.

    Both are accepted rows as a check writes them (Arrow), read by the columns of `way` (role → column); rows are
    counted from 1 among the accepted ones.
    """
    trained: dict[int, int] = {}
    for number, row in enumerate(read_source(train), 1):
        trained.setdefault(group_of(row, way), number)
    groups = ((number, group_of(row, way)) for number, row in enumerate(read_source(valid), 1))
    return [(number, trained[group]) for number, group in groups if group in trained]


def leak_words(found: list[tuple[int, int]], rows: int, name: str, lines: Mapping[int, int]) -> str:
    """A warning in words about `found` in the file `name` of so many rows, with the physical `lines` of those rows
    where there are any; empty where nothing leaks."""
    if not found:
        return ""
    first = [row for row, _ in found[:ROWS_SHOWN]]
    has_lines = all(row in lines for row in first)
    numbers = ", ".join(str(lines[row] if has_lines else row) for row in first)
    which = ("line" if has_lines else "row") + ("s" if len(found) > 1 else "")
    more = " …" if len(found) > ROWS_SHOWN else ""
    return (
        f"{len(found):,} of {rows:,} rows to measure on have a prompt that is trained on too ({which} {numbers}{more} "
        f"of {shown(name)}): the measured loss will look better than it is. Take them out of one of the files."
    )
