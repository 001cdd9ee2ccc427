"""What a plan rests on: the slot that was named, the model that fits it, the packages and the disks."""

import sys
from pathlib import Path

import pytest

from engine.commands import basis
from engine.executor import Slot
from engine.plan.gates import check_disk
from engine.plan.models import DEFAULT_CAUSAL, Look
from engine.refusal import Refusal
from tests.engine.plan.test_defaults import LARGE, SMALL

GPU = Slot("gpu", 1, 25.8)


def test_a_slot_is_named_by_gpus_and_gigabytes() -> None:
    assert basis.slot_named("1x25.8") == GPU
    assert basis.slot_named("0x16") == Slot("cpu", 0, 16.0)
    with pytest.raises(Refusal, match="as in 1x24"):
        basis.slot_named("big")


def test_without_a_gpu_the_time_is_said_with_the_model() -> None:
    assert basis.with_time("Why.", Slot("cpu", 0, 16), 150) == "Why. No GPU here: about 3 min."
    assert basis.with_time("Why.", Slot("cpu", 0, 16), 7200) == "Why. No GPU here: about 2.0 h."
    assert basis.with_time("Why.", GPU, 7200) == "Why."
    assert basis.with_time("", Slot("cpu", 0, 16), 7200) == ""


def test_a_usual_model_that_cannot_be_had_gives_way_to_the_one_that_comes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look_at(model: str, method: str) -> Look:
        if model != DEFAULT_CAUSAL:
            raise Refusal("The Hub cannot be reached.", "")
        return SMALL

    monkeypatch.setattr(basis, "look_at", look_at)
    look, reason = basis.look_and_why("", "sft", GPU)
    assert look == SMALL
    assert reason.endswith(f"It cannot be had just now (The Hub cannot be reached), so it is {DEFAULT_CAUSAL}.")
    with pytest.raises(Refusal, match="cannot be reached"):
        basis.look_and_why("acme/base", "sft", GPU)


def test_a_model_that_is_not_allowed_is_refused_before_anybody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_MODELS", "Qwen/*")
    with pytest.raises(Refusal, match="none of the base models that are allowed here"):
        basis.look_at("acme/base", "sft")


def test_fewer_bits_are_refused_where_their_package_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRAIN_PYTHON", sys.executable)
    assert basis.has_package(sys.executable, "pyarrow") and not basis.has_package(sys.executable, "no_such_package")
    monkeypatch.setattr(basis, "has_package", lambda python, name: (python, name) != (sys.executable, "bitsandbytes"))
    with pytest.raises(Refusal, match="quantization=int4 needs the package bitsandbytes") as refused:
        basis.check_packages({"quantization": "int4"})
    assert refused.value.field == "quantization"
    basis.check_packages({})
    monkeypatch.setenv("TRAIN_PYTHON", "")
    basis.check_packages({"quantization": "int4"})


def test_an_interpreter_that_cannot_be_asked_refuses_nothing(tmp_path: Path) -> None:
    assert basis.has_package(str(tmp_path / "no-python"), "bitsandbytes")


def test_each_disk_has_to_hold_its_part() -> None:
    with pytest.raises(Refusal, match="free where runs are kept"):
        check_disk(LARGE, {"lora": False}, 100e9, 10e9)
    with pytest.raises(Refusal, match="free in the cache"):
        check_disk(LARGE, {}, 10e9, 100e9)
    check_disk(LARGE, {}, 17e9, 10e9)


def test_a_folder_that_is_not_there_yet_lies_on_the_disk_of_the_one_above(tmp_path: Path) -> None:
    assert basis.there(tmp_path / "a" / "b") == tmp_path
