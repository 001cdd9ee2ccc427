"""How a training ends when it does not end well: the last event says why, and nothing half-done is kept."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.events import Event, read_events
from engine.folder import ATTEMPT_VARIABLE, RunFolder
from engine.jobs import Value
from engine.work.train import train
from engine.work.training.checkpoints import last_good
from engine.work.training.task import Task, Work
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


def run_for(folder: Path, model: Path, method: str = "sft", **parameters: Value) -> RunFolder:
    return make_run(folder, method, model, rows_for(method), rows_for(method)[:2], **parameters)


def events_of(run: RunFolder) -> list[Event]:
    return read_events(run.attempts / "train-1" / "events.jsonl")


def test_a_learning_rate_beyond_reason_ends_with_nan_and_no_output(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, learning_rate=1e30, warmup_ratio=0.0, epochs=4)
    assert not train(run.path)
    last = events_of(run)[-1]
    assert (last.kind, last.data["code"]) == ("failed", "nan")
    assert "Half the learning_rate" in last.data["reason"]
    assert not (run.attempts / "train-1/output").exists()
    assert all(np.isfinite(event.data["loss"]) for event in events_of(run) if event.kind == "step")


def test_a_poisoned_weight_ends_at_the_first_step(causal: Path, tmp_path: Path) -> None:
    model = make_causal(tmp_path / "model", TEXTS)
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][0] = np.nan
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    run = run_for(tmp_path / "run", model)
    assert not train(run.path)
    assert (events_of(run)[-1].kind, events_of(run)[-1].data["code"]) == ("failed", "nan")
    assert not [event for event in events_of(run) if event.kind == "step"]


def test_a_stop_that_keeps_saves_a_whole_checkpoint_and_the_weights(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_for(tmp_path / "run", causal, epochs=50)
    leave_stop(run, "save", monkeypatch)
    assert not train(run.path)
    last = events_of(run)[-1]
    assert (last.kind, last.data["step"], last.data["steps"]) == ("stopped", 1, 200)
    assert (run.attempts / "train-1/output/adapter_model.safetensors").exists()
    assert last_good(run.checkpoints) == run.checkpoints / "checkpoint-1"


def test_a_stop_that_drops_keeps_nothing(causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_for(tmp_path / "run", causal, epochs=50)
    leave_stop(run, "drop", monkeypatch)
    assert not train(run.path)
    assert events_of(run)[-1].kind == "stopped"
    assert not (run.attempts / "train-1/output").exists()
    assert last_good(run.checkpoints) is None


def leave_stop(run: RunFolder, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ATTEMPT_VARIABLE, "run/train-1")
    (run.attempts / "train-1").mkdir(parents=True)
    (run.attempts / "train-1" / "stop").write_text(word)


def test_missing_rows_are_said(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal)
    run.rows("train").unlink()
    assert not train(run.path)
    assert events_of(run)[-1].data["code"] == "data"
    assert "train.arrow" in events_of(run)[-1].data["reason"]


def test_a_missing_model_is_said(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", tmp_path / "nowhere")
    assert not train(run.path)
    assert events_of(run)[-1].data["code"] == "model"


def test_a_list_of_weights_that_leads_out_of_the_folder_is_refused(causal: Path, tmp_path: Path) -> None:
    model = make_causal(tmp_path / "model", TEXTS)
    (model / "model.safetensors").rename(tmp_path / "others.safetensors")
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"lm_head.weight": "../others.safetensors"}}')
    run = run_for(tmp_path / "run", model)
    assert not train(run.path)
    assert events_of(run)[-1].data["code"] == "model"


def test_rows_without_anything_to_learn_are_said(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, max_length=8)
    assert not train(run.path)
    assert (events_of(run)[-1].kind, events_of(run)[-1].data["code"]) == ("failed", "data")
    assert "max_length" in events_of(run)[-1].data["reason"]


def test_memory_that_runs_out_is_told_with_what_to_try(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method whose preparation fails as CUDA does; none of the real ones can be made to on purpose everywhere."""
    method = ModuleType("engine.methods.hungry")
    method.prepare = run_out  # type: ignore[attr-defined]  # a module made by hand
    monkeypatch.setitem(sys.modules, method.__name__, method)
    run = make_run(tmp_path / "run", "hungry", causal, rows_for("sft"))
    assert not train(run.path)
    assert [event.kind for event in events_of(run)] == ["phase", "out_of_memory", "failed"]
    assert events_of(run)[-1].data["code"] == "memory"
    assert "Try half the batch_size" in events_of(run)[-1].data["reason"]


def run_out(task: Task) -> Work:
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_mlm_on_a_causal_model_says_what_would_work(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, "mlm")
    assert not train(run.path)
    assert events_of(run)[-1].data["code"] == "model"
    assert "clm" in events_of(run)[-1].data["reason"]


def test_rows_that_are_too_long_are_cut_and_counted(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, max_length=24, max_steps=1)
    assert train(run.path)
    warnings = [event.data["text"] for event in events_of(run) if event.kind == "warning"]
    assert warnings[0] == "16 rows are longer than 24 tokens and were cut."


def child(run: RunFolder) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", ATTEMPT_VARIABLE: "r7/train-1"}
    command = [sys.executable, "-m", "engine", "train", str(run.path)]
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def test_the_command_exits_0_and_speaks_for_its_run(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, max_steps=2)
    assert child(run).wait(timeout=120) == 0
    assert {event.run for event in events_of(run)} == {"r7"}
    assert [event.seq for event in events_of(run)] == list(range(1, len(events_of(run)) + 1))


def test_a_kill_leaves_no_finished(causal: Path, tmp_path: Path) -> None:
    run = run_for(tmp_path / "run", causal, epochs=1000, max_steps=100_000)
    process = child(run)
    for _ in range(600):
        if any(event.kind == "step" for event in events_of(run)):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=30) == -signal.SIGKILL
    assert events_of(run)[-1].kind == "step"
