"""What is refused, asked or priced before a GPU is touched."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.data.types import Estimate
from engine.plan.estimate import priced
from engine.plan.gates import check_disk, fits, template_words, templates_for
from engine.refusal import Refusal
from tests.engine.plan.test_defaults import LARGE, SMALL

GB = 10**9


@pytest.mark.parametrize(
    "name", ["../others.safetensors", "/etc/x.safetensors", "a\\b.safetensors", "pytorch_model.bin"]
)
def test_a_list_of_weights_that_names_other_files_is_refused(name: str, tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": name}}))
    with pytest.raises(Refusal, match="do not lie beside its config"):
        fits(replace(SMALL, folder=tmp_path), "sft")


def test_plain_shards_fit(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    fits(replace(SMALL, folder=tmp_path), "sft")


@pytest.mark.parametrize("method", ["sft", "dpo", "reward"])
def test_an_encoder_is_no_base_for_what_writes(method: str) -> None:
    with pytest.raises(Refusal, match=r"needs a causal language model, and tests/small is an encoder: take model="):
        fits(replace(SMALL, kind="masked"), method)


def test_a_disk_without_room_is_said_in_gigabytes() -> None:
    with pytest.raises(Refusal, match=r"needs about 20\.5 GB of disk, and 5\.0 GB are free"):
        check_disk(LARGE, {}, 5 * GB)
    with pytest.raises(Refusal, match=r"about 240\.0 GB"):
        check_disk(LARGE, {"lora": False}, 100 * GB)
    check_disk(LARGE, {}, 100 * GB)


def test_a_model_without_a_template_asks_which_to_take() -> None:
    bare = replace(SMALL, has_chat_template=False)
    assert templates_for("sft", bare, {}) == ("chatml", "zephyr", "none")
    assert "Choose template=zephyr or template=none" in template_words("tests/small", templates_for("sft", bare, {}))
    assert templates_for("sft", bare, {"template": "zephyr"}) == ()
    assert templates_for("mlm", bare, {}) == ()
    assert templates_for("sft", SMALL, {}) == ()


def test_a_cost_is_hours_times_gpus_times_the_price() -> None:
    made = priced(Estimate(60, 1800.0, 4.0), gpus=2, price=2.5)
    assert (made.gpu_hours, made.cost) == (1.0, 2.5)
    assert priced(Estimate(60, 1800.0, 4.0), gpus=0, price=2.5).cost == 0
