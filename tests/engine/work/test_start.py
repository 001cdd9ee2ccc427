"""What the command line is asked to train: a dataset, our config, or AutoTrain's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import read_events
from engine.folder import RunFolder
from engine.refusal import Refusal
from engine.work.config import Order, read_config, to_yaml
from engine.work.start import new_folder, order_from
from tests.mini import make_causal

AUTOTRAIN = """
task: llm-dpo
base_model: org/model
project_name: mine
log: tensorboard
backend: local
data:
  path: rows
  train_split: train
  valid_split: test
  chat_template: tokenizer
  column_mapping:
    text_column: good
    rejected_text_column: bad
    prompt_text_column: question
params:
  block_size: 512
  model_max_length: 2048
  epochs: 2
  batch_size: 2
  lr: 3.0e-5
  peft: true
  quantization: int4
  mixed_precision: fp16
  gradient_accumulation: 4
hub:
  username: ${NOBODY}
  token: ${NO_TOKEN}
  push_to_hub: true
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text)
    return path


def test_autotrains_config_is_understood(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    for split in ("train", "test"):
        (tmp_path / "rows" / f"{split}.csv").write_text("question,good,bad\n")
    assert read_config(write(tmp_path, AUTOTRAIN)) == Order(
        data=tmp_path / "rows/train.csv",
        method="dpo",
        model="org/model",
        valid=tmp_path / "rows/test.csv",
        columns={"text": "good", "prompt": "question", "rejected_text": "bad"},
        parameters={
            "max_length": 512,
            "epochs": 2,
            "batch_size": 2,
            "learning_rate": 3e-5,
            "lora": True,
            "quantization": "int4",
            "gradient_accumulation": 4,
            "template": "auto",
        },
        notes=("`mixed_precision` has no effect here: bfloat16 where the GPU computes it, else float32.",),
    )


def test_our_config_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROWS", "rows.csv")
    text = "method: sft\nmodel: {id: org/model, revision: abc}\ndata: ${ROWS}\nvalid: 10%\nparameters: {lr: 1e-3}\n"
    order = read_config(write(tmp_path, text))
    assert (order.data, order.model) == (tmp_path / "rows.csv", "org/model@abc")
    assert order.parameters == {"learning_rate": 1e-3, "valid": "10%"}


@pytest.mark.parametrize(
    ("text", "train", "valid"),
    [
        ("method: sft\ndata: hf:org/set\nvalid: hf:org/set:test\n", "hf:org/set", "hf:org/set:test"),
        ("task: llm-sft\nbase_model: a/b\ndata: {path: org/set}\n", "hf:org/set:train", ""),
        (
            "task: llm-sft\nbase_model: a/b\ndata: {path: org/set, train_split: 'small:train', valid_split: test}\n",
            "hf:org/set[small]:train",
            "hf:org/set:test",
        ),
    ],
)
def test_a_config_may_name_datasets_of_the_hub(text: str, train: str, valid: str, tmp_path: Path) -> None:
    order = read_config(write(tmp_path, text))
    assert (str(order.data), str(order.valid or "")) == (train, valid)


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("- 1\n", "config", "no settings"),
        ("a: [\n", "config", "cannot be read as YAML"),
        ("method: dop\ndata: x.csv\n", "method", "no method"),
        ("method: sft\n", "data", "names no data"),
        ("method: sft\ndata: ${NOT_SET}\n", "NOT_SET", "the environment does not have it"),
        ("method: sft\ndata: x.csv\nparameters: {epoch: 3}\n", "epoch", "did you mean `epochs`"),
        ("method: sft\ndata: x.csv\nparameters: 3\n", "parameters", "name: value"),
        ("task: image\nbase_model: a/b\ndata: {path: x}\n", "task", "no method"),
        ("task: llm-sft\nbase_model: a/b\n", "data", "names no data"),
        ("task: llm-sft\nbase_model: a/b\ndata: {path: no set}\n", "data", "names no dataset"),
    ],
)
def test_a_wrong_config_is_refused_at_its_field(text: str, field: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        read_config(write(tmp_path, text))
    assert refusal.value.field == field
    assert said in refusal.value.text


def test_words_of_the_command_line_come_before_the_config(tmp_path: Path) -> None:
    path = write(tmp_path, "method: sft\nmodel: a/b\ndata: x.csv\nparameters: {epochs: 3, seed: 1}\n")
    order = order_from(path, "", "c/d", ["epochs=5", "text=answer", "valid=more.csv"])
    assert (order.model, order.columns, order.valid) == ("c/d", {"text": "answer"}, Path("more.csv"))
    assert order.parameters == {"epochs": 5, "seed": 1}


def test_a_dataset_needs_a_method() -> None:
    with pytest.raises(Refusal, match="--method sft"):
        order_from(Path("rows.csv"), "", "", [])


def test_a_new_folder_is_never_one_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    order = Order(Path("my/rows.csv"), "sft")
    assert new_folder(order) == Path("runs/rows-sft")
    Path("runs/rows-sft").mkdir(parents=True)
    assert new_folder(order) == Path("runs/rows-sft-2")


def engine(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_TOKEN": ""}
    command = [sys.executable, "-m", "engine", *words]
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def test_a_file_with_errors_is_not_trained_on(tmp_path: Path) -> None:
    data = tmp_path / "rows.csv"
    data.write_text("prompt,text\na,b\n")
    done = engine("train", str(data), "--method", "dpo", "--model", str(tmp_path), "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert "rejected_text" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run" / "attempts").exists()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_dataset_becomes_a_trained_model(suffix: str, tmp_path: Path) -> None:
    model = make_causal(tmp_path / "model", ["human: hello bot: nice to meet you"] * 5)
    data = tmp_path / f"rows.{suffix}"
    if suffix == "csv":
        data.write_text("text\n" + "human: hello \\n bot: nice to meet you\n" * 8)
    else:
        data.write_text('{"text": "human: hello \\n bot: nice to meet you"}\n' * 8)
    run = RunFolder(tmp_path / "run")
    words = ["train", str(data), "--method", "sft", "--model", str(model), "--out", str(run.path), "max_steps=2"]
    done = engine(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "step 2/2" in done.stdout
    assert read_events(run.attempts / "train-1/events.jsonl")[-1].kind == "finished"
    estimated = engine("estimate", str(run.path), "--json")
    assert '"steps": 2' in estimated.stdout


@pytest.mark.slow
def test_the_settings_of_a_run_as_yaml_repeat_it(tmp_path: Path) -> None:
    """Columns, turns, template and all that was chosen come again, and so does every loss."""
    base = make_causal(tmp_path / "base", ["question answer human bot nice to meet you"])
    data = tmp_path / "rows.csv"
    data.write_text("said,other\n" + "".join(f"human: hello {n} \\n bot: nice to meet you {n},x\n" for n in range(24)))
    words = ["text=said", "max_steps=4", "max_length=64", "template=zephyr", "valid=25%", "save_steps=2"]
    first = ran(tmp_path, "first", str(data), "--method", "sft", "--model", str(base), *words)
    spec = first.read_spec()
    again = spec.__class__(**{**vars(spec), "model": spec.model.__class__(str(base))})
    (tmp_path / "run.yaml").write_text(to_yaml(again))
    second = ran(tmp_path, "second", str(tmp_path / "run.yaml"))
    assert spec.train.as_conversation and spec.train.mapping == {"text": "said"}
    assert second.read_spec() == spec
    assert losses(second) == losses(first)


def ran(folder: Path, name: str, *words: str) -> RunFolder:
    command = [sys.executable, "-m", "engine", "train", *words, "--out", str(folder / name)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return RunFolder(folder / name)


def losses(run: RunFolder) -> list[float]:
    events = read_events(run.attempts / "train-1" / "events.jsonl")
    return [event.data["loss"] for event in events if event.kind == "step"]
