"""What is chosen where nobody says, and what a run is said to take."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.types import NEEDS
from engine.executor import Slot
from engine.plan.defaults import lines, plain, settle
from engine.plan.estimate import estimate, planned_steps
from engine.plan.models import Look
from engine.plan.parameters import parse, table_for
from engine.refusal import Refusal

SMALL = Look("tests/small", "a" * 40, Path(), "causal", 135_000_000, 576, 30, 49_152, 8192, has_chat_template=True)
LARGE = replace(SMALL, id="tests/large", parameters=8_000_000_000, hidden=4096, layers=32, vocab=128_000)
CPU = Slot("cpu", 0, 16)
GPU = Slot("gpu", 1, 80)


def values(method: str, rows: int, look: Look, slot: Slot, **given: str) -> dict[str, object]:
    words = parse(given, method)
    return dict(plain(settle(method, words, rows=rows, tokens_median=60, look=look, slot=slot)))


@pytest.mark.parametrize("method", NEEDS)
@pytest.mark.parametrize("slot", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize("rows", [4, 500, 100_000])
def test_every_parameter_is_settled_with_a_reason_and_within_its_range(method: str, slot: Slot, rows: int) -> None:
    settings = settle(method, {}, rows=rows, tokens_median=60, look=SMALL, slot=slot)
    assert list(settings) == [parameter.name for parameter in table_for(method)]
    assert all(setting.reason for setting in settings.values())
    written = dict(line.split(" (")[0].split(" = ") for line in lines(settings))
    assert parse(written, method) == plain(settings)


def test_what_is_given_stays_and_says_so() -> None:
    settings = settle("sft", {"epochs": 9}, rows=10, tokens_median=60, look=SMALL, slot=CPU)
    assert (settings["epochs"].value, settings["epochs"].reason) == (9, "as given")


def test_a_batch_that_the_devices_cannot_share_is_refused_with_what_would_fit() -> None:
    with pytest.raises(Refusal, match="multiple of 3"):
        values("sft", 100, SMALL, CPU, gpus="3", batch_size="4")
    assert values("sft", 100, SMALL, CPU, gpus="3", batch_size="6")["gpus"] == 3


def test_a_lora_takes_ten_times_the_rate_of_a_full_training() -> None:
    lora, full = values("sft", 100, LARGE, GPU), values("sft", 100, LARGE, GPU, lora="off")
    assert lora["learning_rate"] == pytest.approx(2e-4)
    assert full["learning_rate"] == pytest.approx(2e-5)


def test_preferences_are_learned_more_slowly_than_answers() -> None:
    rates = {method: values(method, 100, SMALL, CPU)["learning_rate"] for method in ("sft", "dpo")}
    assert rates["dpo"] < rates["sft"]  # type: ignore[operator]  # both are numbers


def test_fewer_rows_are_seen_more_often() -> None:
    assert [values("sft", rows, SMALL, CPU)["epochs"] for rows in (50, 1_000, 10_000, 50_000)] == [5, 3, 2, 1]


def test_a_large_model_on_a_small_card_takes_small_batches_and_keeps_the_step() -> None:
    chosen = values("sft", 900, LARGE, Slot("gpu", 1, 24))
    assert chosen["batch_size"] == 1
    assert chosen["gradient_accumulation"] == 8


def test_a_full_training_that_cannot_fit_says_so_and_saves_activations() -> None:
    slot = Slot("gpu", 1, 24)
    settings = settle("sft", {"lora": False}, rows=1_000, tokens_median=60, look=LARGE, slot=slot)
    assert settings["gradient_checkpointing"].value is True
    assert any("may not fit" in note for note in estimate("sft", settings, LARGE, 1_000, 60_000, slot).notes)


def test_steps_are_counted_by_epochs_or_given() -> None:
    base = {"max_steps": 0, "batch_size": 4, "gradient_accumulation": 2, "epochs": 3}
    assert planned_steps(base, 17) == 9
    assert planned_steps({**base, "max_steps": 60}, 17) == 60
    assert planned_steps({**base, "epochs": 0.1}, 17) == 1


def test_an_estimate_grows_with_rows_and_falls_with_a_gpu() -> None:
    def seconds(rows: int, slot: Slot) -> float:
        settings = settle("sft", {"epochs": 1}, rows=rows, tokens_median=60, look=SMALL, slot=slot)
        return estimate("sft", settings, SMALL, rows, rows * 60, slot).seconds

    assert seconds(100, CPU) < seconds(1_000, CPU)
    assert seconds(1_000, GPU) < seconds(1_000, CPU) / 10


def test_without_a_gpu_the_estimate_says_so() -> None:
    settings = settle("sft", {}, rows=100, tokens_median=60, look=SMALL, slot=CPU)
    assert "no GPU" in estimate("sft", settings, SMALL, 100, 6_000, CPU).notes[0]
