"""What the curves of a training say to whoever watches: hints by rule, each at most once. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

WINDOW = 10
"""Steps over which a loss is averaged: one batch of few rows says little."""
FLAT_STEPS = 40
FLAT = 0.99
"""A loss above this share of the first one has not moved."""
RISEN = 1.3
"""A loss above this multiple of the best one rises for good."""
JUMPY = 10.0
"""Gradients above this multiple of the first ones are out of hand."""
OVERFITTED = 1.02
"""A held-out loss above this multiple of the best one is no noise."""


@dataclass(frozen=True)
class Curves:
    """What was reported so far: a loss and a gradient norm for each step, and (step, held-out loss) pairs."""

    losses: Sequence[float]
    grad_norms: Sequence[float]
    held_out: Sequence[tuple[int, float]]


def hints(curves: Curves) -> dict[str, str]:
    """Name → sentence of everything that can be said now."""
    found = {"rate": too_fast(curves), "diverging": diverging(curves), "flat": flat(curves)}
    if found["rate"] or found["diverging"]:
        found["flat"] = ""
    return {name: text for name, text in {**found, "overfitting": overfitting(curves)}.items() if text}


def windows(losses: Sequence[float]) -> list[float]:
    """The means of the whole windows, first to last."""
    whole = len(losses) // WINDOW * WINDOW
    return [mean(losses[start : start + WINDOW]) for start in range(0, whole, WINDOW)]


def flat(curves: Curves) -> str:
    means = windows(curves.losses)
    if len(curves.losses) < FLAT_STEPS or min(means) < FLAT * means[0]:
        return ""
    return (
        f"The loss has not moved in {len(curves.losses)} steps ({means[0]:.3g}): a higher learning_rate may help, "
        "or the rows teach what the model knows already."
    )


def diverging(curves: Curves) -> str:
    means = windows(curves.losses)
    if len(means) < 2 or means[-1] <= RISEN * min(means) or means[-1] - min(means) < 0.1:
        return ""
    return f"The loss rises ({min(means):.3g} → {means[-1]:.3g}): half the learning_rate usually helps."


def too_fast(curves: Curves) -> str:
    norms = curves.grad_norms
    if len(norms) < 2 * WINDOW or median(norms[-WINDOW:]) <= JUMPY * max(median(norms[:WINDOW]), 1e-6):
        return ""
    return (
        f"The gradients have grown from {median(norms[:WINDOW]):.2g} to {median(norms[-WINDOW:]):.2g}: "
        "the learning_rate is likely too high."
    )


def overfitting(curves: Curves) -> str:
    """Two measures in a row above the best one, while the training loss still falls."""
    held_out, means = curves.held_out, windows(curves.losses)
    if len(held_out) < 3 or len(means) < 2 or means[-1] >= means[0]:
        return ""
    step, best = min(held_out, key=lambda point: point[1])
    after = [loss for at, loss in held_out if at > step]
    if len(after) < 2 or min(after[-2:]) <= OVERFITTED * best:
        return ""
    return (
        f"The held-out loss rises since step {step} ({best:.3g} → {after[-1]:.3g}) while the training loss falls: "
        "it learns the rows by heart. Fewer epochs would do."
    )
