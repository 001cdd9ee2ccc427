"""What cannot work together is refused at its field; what was settled can be settled again."""

import pytest

from engine.data.types import NEEDS
from engine.plan.combinations import can_halve
from engine.plan.defaults import plain, settle
from engine.plan.parameters import parse
from engine.refusal import Refusal
from tests.engine.plan.test_defaults import CPU, GPU, SMALL


@pytest.mark.parametrize(
    ("method", "words", "field", "said"),
    [
        ("sft", "max_length=9000", "max_length", "more than tests/small reads at once: it has 8,192 positions"),
        ("sft", "lora=off lora_r=8", "lora_r", "does nothing with lora=off"),
        ("sft", "lora=off merge=on", "merge", "does nothing with lora=off"),
        ("kto", "batch_size=1", "batch_size", "batch_size has to be 2 or more"),
        ("sft", "max_steps=20 save_steps=50", "save_steps", "no checkpoint would be made"),
        ("sft", "quantization=int4", "quantization", "needs a GPU"),
    ],
)
def test_a_combination_that_cannot_work_is_refused(method: str, words: str, field: str, said: str) -> None:
    given = parse(words.split(), method)
    with pytest.raises(Refusal) as refusal:
        settle(method, given, rows=100, tokens_median=60, look=SMALL, slot=CPU)
    assert refusal.value.field == field
    assert said in refusal.value.text


@pytest.mark.parametrize("method", NEEDS)
@pytest.mark.parametrize("words", [[], ["lora=off"]], ids=["lora", "full"])
def test_what_was_settled_can_be_given(method: str, words: list[str]) -> None:
    """The effective settings of one run are the config of the next."""
    first = plain(settle(method, parse(words, method), rows=100, tokens_median=60, look=SMALL, slot=GPU))
    assert plain(settle(method, first, rows=100, tokens_median=60, look=SMALL, slot=GPU)) == first


def test_half_a_batch_of_kto_still_has_neighbours() -> None:
    assert [can_halve("kto", batch) for batch in (2, 3, 4)] == [False, False, True]
    assert [can_halve("sft", batch) for batch in (1, 2)] == [False, True]
