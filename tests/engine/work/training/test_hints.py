"""Hints by rule: what each curve says, and what no curve of a training that goes well says."""

import pytest

from engine.work.training.hints import Curves, hints

FALLING = [4.0 * 0.97**step for step in range(60)]
CALM = [1.0] * 60


def test_a_training_that_goes_well_is_not_commented() -> None:
    assert hints(Curves(FALLING, CALM, [(20, 3.0), (40, 2.5), (60, 2.4)])) == {}


def test_the_first_steps_say_nothing() -> None:
    assert hints(Curves([4.0, 9.0, 4.0], [1.0, 50.0, 1.0], [])) == {}


@pytest.mark.parametrize(
    ("name", "curves", "words"),
    [
        ("flat", Curves([2.0] * 40, CALM[:40], []), "The loss has not moved in 40 steps (2)"),
        ("diverging", Curves([2.0] * 10 + [1.0] * 10 + [3.0] * 10, CALM[:30], []), "The loss rises (1 → 3)"),
        ("rate", Curves(FALLING[:30], [0.5] * 20 + [20.0] * 10, []), "grown from 0.5 to 20"),
        ("overfitting", Curves(FALLING, CALM, [(20, 2.0), (40, 2.2), (60, 2.5)]), "since step 20 (2 → 2.5)"),
    ],
)
def test_each_curve_gets_its_hint_and_only_that(name: str, curves: Curves, words: str) -> None:
    found = hints(curves)
    assert list(found) == [name]
    assert words in found[name]


def test_a_held_out_loss_that_rose_once_is_no_overfitting() -> None:
    assert hints(Curves(FALLING, CALM, [(20, 2.0), (40, 2.2), (60, 1.9)])) == {}
