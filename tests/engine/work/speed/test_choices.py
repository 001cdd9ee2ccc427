"""Each choice for speed follows from the job and the machine, and says why."""

from pathlib import Path

import pytest

from engine.data.types import Setting
from engine.executor import Slot
from engine.jobs import Value
from engine.plan.defaults import plain, settle
from engine.plan.models import Look
from engine.plan.parameters import complete
from engine.refusal import Refusal
from engine.work.speed.choices import (
    Choice,
    Job,
    Machine,
    batch_and_accumulation,
    choices,
    expected_s,
    tell,
    trainer_arguments,
)

CPU = Machine()
GPU = Machine(has_gpu=True, has_bf16=True)
OLD = Machine(has_gpu=True)
FULL = Machine(has_gpu=True, has_bf16=True, has_flash=True, has_liger=True)
LOOK = Look("org/model", "a" * 40, Path("model"), "causal", 1_200_000_000, 16, 2048, 32_000, 8192, True)


def made(machine: Machine, method: str = "sft", seconds: float = 0.0, **settings: Value) -> dict[str, Choice]:
    job = Job(method, {**complete(method, settings), **settings}, seconds)
    return {choice.name: choice for choice in choices(job, machine)}


@pytest.mark.parametrize(
    ("machine", "settings", "name", "value"),
    [
        (GPU, {"lora": True}, "weights", "bfloat16"),
        (GPU, {"lora": False}, "weights", "float32"),
        (CPU, {"lora": True}, "weights", "float32"),
        (GPU, {"quantization": "int4"}, "weights", "int4"),
        (GPU, {}, "arithmetic", "bfloat16"),
        (OLD, {}, "arithmetic", "float32"),
        (GPU, {"gradient_checkpointing": True}, "checkpointing", "on"),
        (GPU, {}, "checkpointing", "off"),
        (GPU, {"packing": True}, "batches", "packed"),
        (GPU, {}, "batches", "of like lengths"),
        (FULL, {"packing": True}, "attention", "flash_attention_2"),
        (GPU, {"packing": True}, "attention", "sdpa"),
        (FULL, {}, "liger", "on"),
        (GPU, {}, "liger", "off"),
        (CPU, {}, "logits", "of learned positions"),
        (GPU, {}, "logits", "fused"),
        (FULL, {"packing": True, "seconds": 3600.0}, "compile", "on"),
        (FULL, {"packing": True, "seconds": 60.0}, "compile", "off"),
        (FULL, {"seconds": 3600.0}, "compile", "off"),
        (CPU, {"packing": True, "seconds": 3600.0}, "compile", "off"),
    ],
)
def test_what_is_chosen(machine: Machine, settings: dict[str, Value], name: str, value: str) -> None:
    choice = made(machine, **settings)[name]  # type: ignore[arg-type]  # seconds is one of them
    assert choice.value == value
    assert len(choice.reason) > 10


def test_the_trainer_gets_what_was_chosen() -> None:
    assert trainer_arguments(list(made(CPU).values())) == {"bf16": False, "train_sampling_strategy": "group_by_length"}
    everything = trainer_arguments(list(made(FULL, packing=True, seconds=3600.0).values()))
    assert everything["bf16"] and everything["use_liger_kernel"] and everything["torch_compile"]
    assert "train_sampling_strategy" not in everything
    assert everything["liger_kernel_config"] == {"fused_linear_cross_entropy": False, "cross_entropy": False}


def test_packed_rows_without_flash_attention_go_one_at_a_time_in_as_large_a_step() -> None:
    settings = {"batch_size": 8, "gradient_accumulation": 2}
    assert batch_and_accumulation(list(made(GPU, packing=True).values()), settings) == (1, 16)
    assert batch_and_accumulation(list(made(FULL, packing=True).values()), settings) == (8, 2)
    assert batch_and_accumulation(list(made(GPU).values()), settings) == (8, 2)


@pytest.mark.parametrize(("method", "name"), [("dpo", "reference"), ("sft", "logits"), ("orpo", "logits")])
def test_methods_have_choices_of_their_own(method: str, name: str) -> None:
    assert name in made(CPU, method)
    assert name not in made(CPU, "mlm")


def test_each_choice_is_a_line_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    tell(list(made(CPU).values()))
    lines = capsys.readouterr().out.splitlines()
    assert "arithmetic: float32 (there is no GPU)" in lines
    assert len(lines) == 8


def test_the_time_is_expected_by_weights_tokens_and_card(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x" * 2_000_000)
    settings = {**complete("sft", {}), "max_steps": 10, "max_length": 1000, "batch_size": 4}
    assert expected_s(settings, 100, tmp_path, 80.0) == pytest.approx(10 * 4000 * 4 * 1e6 / (4e14 * 0.3))


def planned(given: dict[str, Value], slot: Slot, rows: int = 4_000, tokens: int = 120) -> dict[str, Setting]:
    return settle("sft", given, rows=rows, tokens_median=tokens, look=LOOK, slot=slot)


def test_many_short_texts_are_packed_on_a_gpu_into_steps_of_as_many_tokens() -> None:
    card = Slot("gpu", 1, 80.0)
    packed, single = (plain(planned({"packing": word}, card)) for word in (True, False))
    assert planned({}, card)["packing"].value is True
    assert planned({}, Slot("cpu", 0, 16.0))["packing"].value is False
    rows = {
        name: int(values["batch_size"]) * int(values["gradient_accumulation"])
        for name, values in (("packed", packed), ("single", single))
    }
    assert rows == {"packed": 2, "single": 16}


@pytest.mark.parametrize(
    ("given", "slot", "says"),
    [
        ({"quantization": "int4"}, Slot("cpu", 0, 16.0), "needs a GPU"),
        ({"quantization": "int8", "lora": False}, Slot("gpu", 1, 80.0), "only a lora"),
    ],
)
def test_a_base_in_fewer_bits_is_refused_in_words_where_it_cannot_be(
    given: dict[str, Value], slot: Slot, says: str
) -> None:
    with pytest.raises(Refusal, match=says):
        planned(given, slot)
