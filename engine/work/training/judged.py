"""Answers that are marked good or bad, as kto takes them: beside their neighbours, weighed, scored and measured."""

import math
import random
from collections.abc import Sequence
from typing import Any

from engine.data.encoding import Encoded, Row
from engine.work.training.losses import answer_row, mean, row_log_probs, share

Scores = list[tuple[float, float]]
"""For each row the log-probability of its own answer, and of its neighbour's, after its prompt."""


def mixed(rows: Sequence[Encoded], seed: int) -> list[Encoded]:
    """In an order of their own: kto takes rows as they stand, and files often list all good answers first."""
    return random.Random(seed).sample(rows, len(rows))  # noqa: S311  # a draw that can be repeated


def beside_neighbours(rows: Sequence[Encoded], batch: int) -> list[Encoded]:
    """Each row with the answer of the one before it in its batch; a row that is alone takes that of the last batch."""
    paired = []
    for index, row in enumerate(rows):
        start = index // batch * batch
        end = min(start + batch, len(rows))
        before = index - 1 if index > start or end - start == 1 else end - 1
        paired.append({**row, "KL_completion_ids": rows[before]["completion_ids"]})
    return paired


def balance(rows: Sequence[Encoded]) -> dict[str, float]:
    """Weights that make both kinds count alike, as the paper's eq. 8 asks where one is rarer."""
    good = sum(bool(row["label"]) for row in rows)
    bad = len(rows) - good
    if not good or not bad:
        return {}
    is_rarer_good = good < bad
    name = "desirable_weight" if is_rarer_good else "undesirable_weight"
    return {name: max(good, bad) / min(good, bad)}


def good(rows: Sequence[Row]) -> list[Row]:
    """The rows whose answer is good, or all where none is: those are what a tuned model is held against."""
    return [row for row in rows if row["label"]] or list(rows)


def scores(model: Any, rows: Sequence[Encoded]) -> Scores:
    texts = [answer_row(row, name) for row in rows for name in ("completion_ids", "KL_completion_ids")]
    sums = [total for total, _ in row_log_probs(model, texts)]
    return list(zip(sums[::2], sums[1::2], strict=True))


def with_reference(model: Any, rows: Sequence[Encoded]) -> list[Encoded]:
    """Each row with what the base says of both answers, in TRL's columns."""
    known = zip(rows, scores(model, rows), strict=True)
    return [{**row, "ref_logps": own, "ref_KL_logps": other} for row, (own, other) in known]


def metrics(rows: Sequence[Encoded], tuned: Scores, reference: Scores, beta: float) -> dict[str, float]:
    """KTO's loss (eq. 7), and by how much, and how often, a good answer gained and a bad one lost."""
    if not rows:
        return {}
    ratios = [own - base for (own, _), (base, _) in zip(tuned, reference, strict=True)]
    drift = max(0.0, mean([other - base for (_, other), (_, base) in zip(tuned, reference, strict=True)]))
    signs = [1.0 if row["label"] else -1.0 for row in rows]
    found = {
        "eval_loss": mean(
            [1 - sigmoid(sign * beta * (ratio - drift)) for sign, ratio in zip(signs, ratios, strict=True)]
        ),
        "eval_reward_accuracy": share([sign * ratio for sign, ratio in zip(signs, ratios, strict=True)]),
    }
    gained = [beta * ratio for sign, ratio in zip(signs, ratios, strict=True) if sign > 0]
    lost = [beta * ratio for sign, ratio in zip(signs, ratios, strict=True) if sign < 0]
    return {**found, "eval_reward_margin": mean(gained) - mean(lost)} if gained and lost else found


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else 1 - 1 / (1 + math.exp(value))
