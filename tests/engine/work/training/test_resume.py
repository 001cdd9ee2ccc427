"""A training that was cut off goes on where it was, and ends with the weights of one that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from engine.events import read_events
from engine.folder import RunFolder
from engine.jobs import Value
from engine.work.train import train
from engine.work.training.checkpoints import MANIFEST, is_whole, last_good, mark_complete
from engine.work.training.loop import Watch
from engine.work.training.weights import has_gpu
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


def run_for(folder: Path, model: Path, **parameters: Value) -> RunFolder:
    rows = rows_for("sft")
    fast: dict[str, Value] = {"max_steps": 8, "save_steps": 2, "batch_size": 4, "gradient_accumulation": 1}
    return make_run(folder, "sft", model, rows, rows[:2], **{**fast, **parameters})


@pytest.fixture
def dies_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the next training break after that step."""
    real = Watch.on_step_end

    def choose(step: int, error: str = "the power went") -> None:
        def on_step_end(self: Watch, args: Any, state: Any, control: Any, **rest: Any) -> None:
            real(self, args, state, control, **rest)
            if state.global_step == step:
                raise RuntimeError(error)

        monkeypatch.setattr(Watch, "on_step_end", on_step_end if step else real)

    return choose


def weights(run: RunFolder, attempt: int) -> dict[str, Any]:
    (file,) = (run.attempts / f"train-{attempt}" / "output").glob("*.safetensors")
    return dict(load_file(file))


def begun(step: int, steps: int) -> dict[str, Any]:
    return {"step": step, "steps": steps, "has_gpu": has_gpu()}


def said(run: RunFolder, attempt: int, kind: str) -> list[dict[str, Any]]:
    events = read_events(run.attempts / f"train-{attempt}" / "events.jsonl")
    return [dict(event.data) for event in events if event.kind == kind]


@pytest.mark.parametrize("lora", [True, False])
def test_a_resumed_training_ends_with_the_weights_of_one_that_was_never_cut_off(
    causal: Path, tmp_path: Path, dies_at: Callable[[int], None], lora: bool
) -> None:
    whole = run_for(tmp_path / "whole", causal, lora=lora)
    assert train(whole.path)
    cut = run_for(tmp_path / "cut", causal, lora=lora)
    dies_at(5)
    assert not train(cut.path)
    dies_at(0)
    assert train(cut.path)
    assert said(cut, 2, "started") == [begun(4, 8)]
    assert [step["step"] for step in said(cut, 2, "step")] == [5, 6, 7, 8]
    expected, found = weights(whole, 1), weights(cut, 2)
    assert expected.keys() == found.keys()
    assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("damage", ["cut", "flipped", "unmarked"])
def test_a_damaged_checkpoint_is_passed_over_and_told(
    causal: Path, tmp_path: Path, dies_at: Callable[[int], None], damage: str
) -> None:
    run = run_for(tmp_path / "run", causal)
    dies_at(5)
    assert not train(run.path)
    dies_at(0)
    ruin(run.checkpoints / "checkpoint-4", damage)
    assert train(run.path)
    assert said(run, 2, "started") == [begun(2, 8)]
    assert said(run, 2, "warning")[0]["text"] == "The checkpoint of step 4 was not whole: the one of step 2 is taken."


def ruin(checkpoint: Path, damage: str) -> None:
    if damage == "unmarked":
        (checkpoint / MANIFEST).unlink()
        return
    file = checkpoint / "optimizer.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content if damage == "flipped" else content[:-10])


def test_memory_that_ran_out_is_tried_with_half_the_batch_and_the_same_steps(
    causal: Path, tmp_path: Path, dies_at: Callable[..., None]
) -> None:
    run = run_for(tmp_path / "run", causal)
    dies_at(3, "CUDA out of memory. Tried to allocate 20.00 GiB.")
    assert not train(run.path)
    dies_at(0)
    assert train(run.path)
    assert said(run, 2, "warning")[0]["text"] == (
        "The memory was not enough, so this try takes batch_size=2 gradient_accumulation=2."
    )
    assert said(run, 2, "started") == [begun(2, 8)]
    assert [step["step"] for step in said(run, 2, "step")] == [3, 4, 5, 6, 7, 8]


def test_a_training_that_died_before_its_first_checkpoint_starts_over(
    causal: Path, tmp_path: Path, dies_at: Callable[[int], None]
) -> None:
    run = run_for(tmp_path / "run", causal)
    dies_at(1)
    assert not train(run.path)
    dies_at(0)
    assert train(run.path)
    assert said(run, 2, "started") == [begun(0, 8)]


def test_a_training_after_one_that_finished_begins_anew(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, max_steps=2, save_steps=1)
    assert train(run.path)
    assert train(run.path)
    assert said(run, 2, "started") == [begun(0, 2)]


def test_a_manifest_is_the_last_word_on_a_checkpoint(tmp_path: Path) -> None:
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "weights").write_text(str(step))
        mark_complete(tmp_path / f"checkpoint-{step}")
    assert last_good(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "more").write_text("of another save")
    assert last_good(tmp_path) == tmp_path / "checkpoint-2"
    (tmp_path / "checkpoint-2" / MANIFEST).write_text(json.dumps([1, 2]))
    assert not is_whole(tmp_path / "checkpoint-2")
