"""Tokens are kept by all that they depend on, and made anew when any of it changes."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import EventLog, read_events
from engine.jobs import Attempt
from engine.plan.parameters import complete
from engine.work.speed.kept import FOLDER, MOST, forget, keep, kept, key
from engine.work.train import train
from engine.work.training.task import Failure, Task
from engine.work.training.weights import in_fewer_bits
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_run, write_rows

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


def task_in(folder: Path) -> Task:
    run = make_run(folder / "run", "sft", make_causal(folder / "model", TEXTS), rows_for("sft"))
    attempt = Attempt("run", "train", 1, run.path)
    attempt.folder.mkdir(parents=True)
    log = EventLog(attempt.folder, "run", "train-1")
    return Task(run, run.read_spec(), complete("sft", {}), attempt, log)


def made(task: Task) -> list[int]:
    calls = []
    kept(task, task.folder.rows("train"), lambda: calls.append(1) or [{"input_ids": [1, 2]}])  # type: ignore[func-returns-value]
    return calls


def test_the_same_rows_are_tokenised_once(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    assert made(task) == [1]
    assert made(task) == []
    assert kept(task, task.folder.rows("train"), list) == [{"input_ids": [1, 2]}]


def test_other_rows_lengths_templates_and_tokenizers_are_others(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    keys = {key(task, task.folder.rows("train"))}
    for name, value in (("max_length", 99), ("template", "chatml")):
        keys.add(key(replace(task, settings={**task.settings, name: value}), task.folder.rows("train")))
    keys.add(key(replace(task, spec=replace(task.spec, method="clm")), task.folder.rows("train")))
    with (tmp_path / "model" / "tokenizer_config.json").open("a") as file:
        file.write(" ")
    keys.add(key(task, task.folder.rows("train")))
    write_rows(task.folder.rows("train"), rows_for("sft")[:3])
    keys.add(key(task, task.folder.rows("train")))
    assert len(keys) == 6


def test_what_was_made_of_a_file_is_forgotten_with_it(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    made(task)
    forget(tmp_path, "1" * 64)
    assert made(task) == []
    forget(tmp_path, task.spec.train.sha256)
    assert made(task) == [1]


def test_a_file_that_was_cut_is_made_anew_and_old_ones_go(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    made(task)
    (path,) = (tmp_path / FOLDER).glob("*.msgpack")
    path.write_bytes(path.read_bytes()[:-2])
    assert made(task) == [1]
    for number in range(MOST + 5):
        keep(tmp_path / FOLDER / f"{number}.msgpack", b"x")
    assert len(list((tmp_path / FOLDER).iterdir())) == MOST


def test_a_second_run_on_the_same_file_says_the_same_of_its_rows(tmp_path: Path) -> None:
    model = make_causal(tmp_path / "model", TEXTS)
    said = []
    for name in ("first", "second"):
        run = make_run(tmp_path / name, "sft", model, rows_for("sft"), max_length=24, max_steps=2)
        assert train(run.path)
        events = read_events(run.attempts / "train-1" / "events.jsonl")
        said.append([event.data for event in events if event.kind == "warning"])
        said[-1] += [event.data["loss"] for event in events if event.kind == "step"]
    assert said[0] == said[1]
    assert len(list((tmp_path / FOLDER).glob("*.msgpack"))) == 1


def test_fewer_bits_without_a_gpu_are_refused_where_it_trains_too(tmp_path: Path) -> None:
    task = task_in(tmp_path)
    assert in_fewer_bits(task) == {}
    with pytest.raises(Failure, match="needs a GPU"):
        in_fewer_bits(replace(task, settings={**task.settings, "quantization": "int4"}))
