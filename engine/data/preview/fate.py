"""What becomes of every row at a model and a `max_length`: its tokens, whether it is cut, whether it is dropped."""

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.data import encoding
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.trainer_rows import PLAIN_METHODS, TrainerRow
from engine.data.types import Row

EXACT_ROWS = 5_000
"""Up to here every row is tokenised; above, the tokens are told from the characters of 500 rows."""
SAMPLED_ROWS = 500


@dataclass(frozen=True)
class Fate:
    """What becomes of the rows. `sizes` are tokens per row, exact or by the ratio; `tokens` holds total, median,
    p95 and max."""

    used: int
    cut: int
    dropped: int
    sizes: Sequence[int]
    tokens: Mapping[str, int]


def fate_of(rows: Sequence[Row], plan: Plan, tokenizer: FileTokenizer, max_length: int) -> Fate:
    """Every row of a small file as the training will take it; of a large one an estimate."""
    if len(rows) <= EXACT_ROWS:
        fates = [_fate(plan.row(row), plan.method, tokenizer, max_length) for row in rows]
        sizes = [size for size, _, _ in fates]
        dropped = sum(is_dropped for _, _, is_dropped in fates)
        return _fate_from(sizes, sum(is_cut for _, is_cut, _ in fates), dropped)
    picked = random.Random(0).sample(range(len(rows)), SAMPLED_ROWS)  # noqa: S311  # a draw that can be repeated
    lengths = [_characters(row, plan.way) for row in rows]
    fates = [_fate(plan.row(rows[number]), plan.method, tokenizer, max_length) for number in picked]
    ratio = sum(size for size, _, _ in fates) / max(1, sum(lengths[number] for number in picked))
    sizes = [max(1, round(length * ratio)) for length in lengths]
    cut = 0 if plan.method in PLAIN_METHODS else sum(size > max_length for size in sizes)
    dropped = round(sum(is_dropped for _, _, is_dropped in fates) * len(rows) / SAMPLED_ROWS)
    return _fate_from(sizes, cut, dropped)


def _characters(row: Row, way: Mapping[str, str]) -> int:
    return sum(len(cell) for column in way.values() if isinstance(cell := row.get(column), str))


def _fate_from(sizes: Sequence[int], cut: int, dropped: int) -> Fate:
    ordered = sorted(sizes)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    tokens = {"total": sum(ordered), "median": int(statistics.median_low(ordered)), "p95": p95, "max": ordered[-1]}
    return Fate(len(sizes) - dropped, cut, dropped, sizes, tokens)


def _fate(row: TrainerRow, method: str, tokenizer: FileTokenizer, max_length: int) -> tuple[int, bool, bool]:
    """(tokens before any cut, whether it is cut, whether it is dropped) of one row."""
    encoded = encode(row, method, tokenizer, max_length)
    if encoded is None:
        return _whole_size(row, method, tokenizer), False, True
    if isinstance(encoded, list):
        return sum(len(piece["input_ids"]) for piece in encoded), False, not encoded
    is_cut = bool(encoded["is_cut"])
    return _whole_size(row, method, tokenizer) if is_cut else _size(encoded), is_cut, False


def _size(encoded: Mapping[str, Any]) -> int:
    """Tokens that one pass over the row takes: a pair's prompt stands before both answers."""
    if "prompt_ids" in encoded:
        return 2 * len(encoded["prompt_ids"]) + len(encoded["chosen_ids"]) + len(encoded["rejected_ids"])
    return sum(len(ids) for name, ids in encoded.items() if name in ("input_ids", "chosen_ids", "rejected_ids"))


def _whole_size(row: TrainerRow, method: str, tokenizer: FileTokenizer) -> int:
    whole = encode(row, method, tokenizer, 1 << 40)
    if isinstance(whole, list):
        return sum(len(piece["input_ids"]) for piece in whole)
    return _size(whole) if whole is not None else 0


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
    one = encoding.text_row if method == "sft" else encoding.pair_row
    return one(tokenizer, numbered, max_length)
