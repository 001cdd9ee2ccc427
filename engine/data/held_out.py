"""Which rows are held out to measure on: whole groups of rows with the same prompt, so that none is on both sides."""

import hashlib
import random
from collections.abc import Mapping, Sequence

from engine.data.turns import parse_turns
from engine.data.types import Row
from engine.jobs import Value

LEAST_TO_HOLD_OUT = 40
MOST_HELD_OUT = 100
LEAST_HELD_OUT = 4


def group_of(row: Row, way: Mapping[str, str]) -> int:
    """Rows with the same prompt, or the same first turn, or else the same text, belong together."""
    if "prompt" in way:
        return _number_of(f"{row.get(way['prompt'])}\n{row.get(way.get('input', ''))}")
    cell = row.get(way.get("messages") or way.get("text") or "text")
    turns = parse_turns(cell) if isinstance(cell, str) else None
    return _number_of(turns[0]["content"] if turns else repr(cell))


def _number_of(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def held_out(groups: Sequence[int], parameters: Mapping[str, Value]) -> frozenset[int]:
    """The row numbers (from 1) to measure on: whole groups, drawn by the seed, at most as many as are wanted."""
    wanted = rows_to_hold_out(len(groups), str(parameters.get("valid", "auto")))
    members: dict[int, list[int]] = {}
    for number, group in enumerate(groups, 1):
        members.setdefault(group, []).append(number)
    order = list(members.values())
    random.Random(int(parameters.get("seed", 42))).shuffle(order)  # noqa: S311  # a draw that can be repeated
    held: list[int] = []
    for numbers in order:
        if len(held) + len(numbers) <= wanted:
            held += numbers
    return frozenset(held)


def rows_to_hold_out(rows: int, valid: str) -> int:
    """`auto`: a tenth, 4 to 100, of at least 40 rows; else a share such as `10%`, a number, or `off`."""
    if valid == "off":
        return 0
    if valid.endswith("%"):
        return min(int(rows * float(valid[:-1]) / 100), rows - 1)
    if valid.isdigit():
        return min(int(valid), rows - 1)
    return min(MOST_HELD_OUT, max(LEAST_HELD_OUT, rows // 10)) if rows >= LEAST_TO_HOLD_OUT else 0
