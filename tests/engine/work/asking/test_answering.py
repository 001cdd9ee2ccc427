"""The child that answers: base and result side by side, until nobody asks or a training waits."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.events import Event, read_events
from engine.folder import ATTEMPT_VARIABLE, RunFolder
from engine.jobs import Value
from engine.work.asking import QUESTIONS, answering
from engine.work.asking.answering import NEW_TOKENS, ask, ask_once, asked_ids, follow
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
    assert list(follow(path, 0.3, lambda: False)) == [("q1", "a", "")]


def test_a_question_follows_on_from_what_was_asked_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two gets its own answers back; another place, and a question without one, begin anew."""
    run = trained(tmp_path, max_steps=1)
    heard: list[tuple[str, int, list[tuple[str, str]]]] = []
    real = answering.continued

    def continued(model: Any, tokenizer: Any, text: str, before: Any, *rest: Any) -> str:
        heard.append((text, len(before), list(before)))
        real(model, tokenizer, text, before, *rest)
        return f"{text}, answer {len(heard)}"

    monkeypatch.setattr(answering, "continued", continued)
    folder = run.attempts / "ask-1"
    folder.mkdir(parents=True)
    lines = [("q1", "a", "C1"), ("q2", "b", "C1"), ("q3", "c", "C2"), ("q4", "d", ""), ("q5", "e", "C1")]
    told = [json.dumps({"key": key, "text": text, "place": place}) for key, text, place in lines]
    (folder / QUESTIONS).write_text("\n".join(told) + "\n")
    assert ask(run.path, idle_s=0.3)
    counts = [(text, before) for text, before, _ in heard]
    assert counts == [(text, n) for text, n in (("a", 0), ("b", 1), ("c", 0), ("d", 0), ("e", 2)) for _ in (1, 2)]
    assert heard[2][2] == [("a", "a, answer 1")] and heard[3][2] == [("a", "a, answer 2")]
    assert heard[8][2] == [("a", "a, answer 1"), ("b", "b, answer 3")]


def test_the_oldest_turns_go_where_there_is_no_room_for_all(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_causal(tmp_path / "model", TEXTS))
    tokenizer.model_max_length = NEW_TOKENS + 60
    turns = [(f"hello {n}", "nice to meet you") for n in range(20)]
    whole = tokenizer.decode(asked_ids(tokenizer, "hello 77", turns, has_turns=True))
    assert len(asked_ids(tokenizer, "hello 77", turns, has_turns=True)) <= 60
    assert "hello 77" in whole and "hello 19" in whole and "hello 1<" not in whole and "hello 0" not in whole
    plain = asked_ids(tokenizer, "hello 77", turns, has_turns=False)
    assert tokenizer.decode(plain) == "hello 77"
