"""The child that answers: base and result side by side, until nobody asks or a training waits."""

import json
from pathlib import Path

import pytest

from engine.events import Event, read_events
from engine.folder import ATTEMPT_VARIABLE, RunFolder
from engine.jobs import Value
from engine.work.asking import QUESTIONS
from engine.work.asking.answering import ask, ask_once, follow
from engine.work.train import train
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_masked, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions


@pytest.fixture(autouse=True)
def is_the_first_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the executor names it."""
    monkeypatch.setenv(ATTEMPT_VARIABLE, "run/ask-1")


def asked(run: RunFolder, *texts: str) -> None:
    folder = run.attempts / "ask-1"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"key": f"q{number}", "text": text}) for number, text in enumerate(texts, 1)]
    (folder / QUESTIONS).write_text("\n".join(lines) + "\n")


def said(run: RunFolder) -> list[Event]:
    return read_events(run.attempts / "ask-1" / "events.jsonl")


def trained(folder: Path, method: str = "sft", **parameters: Value) -> RunFolder:
    make = make_masked if method == "mlm" else make_causal
    model = make(folder / "model", TEXTS)
    parameters = {"learning_rate": 0.01, **parameters}
    run = make_run(folder / "run", method, model, rows_for(method), (), **parameters)
    assert train(run.path)
    return run


def test_base_and_result_answer_the_same_question_and_leave_when_nobody_asks(tmp_path: Path) -> None:
    run = trained(tmp_path, epochs=8)
    asked(run, "hello 3", "hello 4")
    assert ask(run.path, idle_s=0.3)
    events = said(run)
    assert [event.kind for event in events] == ["phase", "started", "answered", "answered", "finished"]
    assert [event.data["key"] for event in events[2:4]] == ["q1", "q2"]
    assert events[2].data["tuned"] == "nice to meet you"
    assert events[2].data["base"] != events[2].data["tuned"]


def test_a_full_training_is_asked_beside_its_base_too(tmp_path: Path) -> None:
    run = trained(tmp_path, "clm", lora=False, epochs=8)
    ((_, base, tuned),) = ask_once(run.path, ["human: hello 3 bot:"])
    assert base != tuned


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dpo", "orpo", "kto"])
def test_a_model_that_learned_preferences_answers_too(method: str, tmp_path: Path) -> None:
    run = trained(tmp_path, method, max_steps=6, batch_size=8)
    ((_, base, tuned),) = ask_once(run.path, ["hello 3"])
    assert base != tuned


@pytest.mark.parametrize(("method", "text"), [("mlm", "nice to [MASK] you"), ("reward", "nice to meet you")])
def test_masks_are_filled_and_texts_are_scored(method: str, text: str, tmp_path: Path) -> None:
    run = trained(tmp_path, method, max_steps=2)
    ((_, base, tuned),) = ask_once(run.path, [text])
    if method == "mlm":
        assert len(tuned.split(", ")) == 3
    else:
        assert float(tuned) and "no score" in base


def test_the_stop_file_ends_it_without_a_half_answer(tmp_path: Path) -> None:
    run = trained(tmp_path, max_steps=1)
    asked(run, "hello 3")
    (run.attempts / "ask-1" / "stop").write_text("drop")
    assert ask(run.path, idle_s=60)
    assert [event.kind for event in said(run)] == ["phase", "started", "stopped"]


def test_a_run_without_a_model_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "sft", make_causal(tmp_path / "model", TEXTS), rows_for("sft"))
    assert not ask(run.path, idle_s=0)
    assert said(run)[-1].data["reason"] == "This run has no trained model here."


def test_a_line_that_is_still_being_written_is_left_and_one_that_came_twice_is_asked_once(tmp_path: Path) -> None:
    path = tmp_path / QUESTIONS
    line = json.dumps({"key": "q1", "text": "a"})
    path.write_text(f"{line}\n{line}\n" + '{"key": "q2", "te')
    assert list(follow(path, 0.3, lambda: False)) == [("q1", "a")]
