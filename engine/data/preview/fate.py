"""What becomes of every row at a model and a `max_length`: its tokens, whether it is cut, whether it is dropped."""

import itertools
import random
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.data import encoding
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.trainer_rows import PLAIN_METHODS, TrainerRow
from engine.data.types import Row

EXACT_ROWS = 5_000
"""Up to here every row is tokenised; above, the tokens are told from the characters of 500 rows."""
SAMPLED_ROWS = 500
QUICK_CHARACTERS = 1_000_000
UNLIMITED = 1 << 40
SMALLEST_END = 32


@dataclass(frozen=True)
class Fate:
    """What becomes of the rows. `sizes` are tokens per row, exact or by the ratio; `tokens` holds total, median,
    p95 and max, and `sampled` rows where they are told from so many. `cut_rows` and `dropped_rows` are numbers from 1,
    and empty where they were only estimated."""

    used: int
    cut: int
    dropped: int
    sizes: Sequence[int]
    tokens: Mapping[str, int]
    cut_rows: tuple[int, ...] = ()
    dropped_rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class RowFate:
    """`size` counts the tokens of one pass over the row, before any cut, `longest` those of its longest text."""

    size: int
    longest: int
    is_cut: bool = False
    is_dropped: bool = False


def fate_of(
    rows: Sequence[Row], plan: Plan, tokenizer: FileTokenizer, max_length: int, *, is_quick: bool = False
) -> Fate:
    """Every row of a small file as the training will take it; of a large one, or of a middling one where it has to be
    quick, an estimate."""
    lengths = [_characters(row, plan.way) for row in rows] if is_quick or len(rows) > EXACT_ROWS else []
    picked = _picked(lengths, is_quick)
    if len(picked) == len(lengths):
        fates = [_fate(plan.row(row), plan.method, tokenizer, max_length) for row in rows]
        cut_rows = tuple(number for number, fate in enumerate(fates, 1) if fate.is_cut)
        dropped_rows = tuple(number for number, fate in enumerate(fates, 1) if fate.is_dropped)
        told = _fate_from([fate.size for fate in fates], len(cut_rows), len(dropped_rows))
        return replace(told, cut_rows=cut_rows, dropped_rows=dropped_rows)
    fates = [_fate(plan.row(rows[number]), plan.method, tokenizer, max_length) for number in picked]
    characters = max(1, sum(lengths[number] for number in picked))
    ratio, longest = sum(fate.size for fate in fates) / characters, sum(fate.longest for fate in fates) / characters
    sizes = [max(1, round(length * ratio)) for length in lengths]
    cut = 0 if plan.method in PLAIN_METHODS else sum(length * longest > max_length for length in lengths)
    dropped = round(sum(fate.is_dropped for fate in fates) * len(rows) / len(picked))
    told = _fate_from(sizes, max(0, cut - dropped), dropped)
    return replace(told, tokens={**told.tokens, "sampled": len(picked)})


def _picked(lengths: Sequence[int], is_quick: bool) -> list[int]:
    """At most 500 rows, drawn so that the draw can be repeated; where it has to be quick, no more than a megabyte."""
    drawn = random.Random(0).sample(range(len(lengths)), min(SAMPLED_ROWS, len(lengths)))  # noqa: S311
    if not is_quick:
        return drawn
    until = itertools.accumulate(lengths[number] for number in drawn)
    return [number for number, size in zip(drawn, until, strict=True) if size <= QUICK_CHARACTERS] or drawn[:1]


def histogram(sizes: Sequence[int]) -> dict[str, int]:
    """Rows by their tokens: up to 32, 64, 128 and so on; the key is the upper end."""
    ends = Counter(max(SMALLEST_END, 1 << (size - 1).bit_length()) for size in sizes)
    return {str(end): ends[end] for end in sorted(ends)}


def _characters(row: Row, way: Mapping[str, str]) -> int:
    return sum(len(cell) for column in way.values() if isinstance(cell := row.get(column), str))


def _fate_from(sizes: Sequence[int], cut: int, dropped: int) -> Fate:
    ordered = sorted(sizes)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    tokens = {"total": sum(ordered), "median": int(statistics.median_low(ordered)), "p95": p95, "max": ordered[-1]}
    return Fate(len(sizes) - dropped, cut, dropped, sizes, tokens)


def _fate(row: TrainerRow, method: str, tokenizer: FileTokenizer, max_length: int) -> RowFate:
    encoded = encode(row, method, tokenizer, max_length)
    if isinstance(encoded, list):
        size = sum(len(piece["input_ids"]) for piece in encoded)
        return RowFate(size, size, is_dropped=not encoded)
    is_cut = encoded is not None and bool(encoded["is_cut"])
    whole = encode(row, method, tokenizer, UNLIMITED) if encoded is None or is_cut else encoded
    size, longest = _sizes(whole) if isinstance(whole, dict) else (0, 0)
    return RowFate(size, longest, is_cut, encoded is None)


def _sizes(encoded: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of one pass, in which a pair's prompt stands before both answers, and of the longest text in it."""
    if "completion_ids" in encoded:
        size = len(encoded["prompt_ids"]) + len(encoded["completion_ids"])
        return size, size
    if "chosen_ids" not in encoded:
        return len(encoded["input_ids"]), len(encoded["input_ids"])
    prompt = len(encoded.get("prompt_ids", ()))
    sides = [prompt + len(encoded[f"{side}_ids"]) for side in ("chosen", "rejected")]
    return sum(sides), max(sides)


def encode(
    row: TrainerRow, method: str, tokenizer: FileTokenizer, max_length: int
) -> encoding.Encoded | list[encoding.Encoded] | None:
    """The row's tokens as the training of `method` takes them; None for one that it drops, a list of pieces where a
    text is not cut but divided."""
    numbered = {**row, "row": 0}
    if method == "clm":
        return encoding.whole_rows(tokenizer, numbered, max_length)
    if method == "mlm":
        return encoding.masked_rows(tokenizer, numbered, max_length)
    if method == "reward":
        return encoding.reward_row(tokenizer, numbered, max_length)
    one = {"sft": encoding.text_row, "kto": encoding.judged_row}.get(method, encoding.pair_row)
    return one(tokenizer, numbered, max_length)
