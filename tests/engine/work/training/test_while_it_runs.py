"""What is said while a training runs: held-out figures at each checkpoint, hints, memory; and what it must learn."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from engine.data import encoding
from engine.events import Event, read_events
from engine.folder import RunFolder
from engine.jobs import Value
from engine.work.train import train
from engine.work.training.weights import choose_pad
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_masked, make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions

FIGURES = {
    "sft": "eval_perplexity",
    "reward": "eval_reward_accuracy",
    "kto": "eval_reward_margin",
    "mlm": "eval_masked_accuracy",
}


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Without a chat template."""
    return make_causal(tmp_path_factory.mktemp("bare"), TEXTS, has_template=False)


def events_of(run: RunFolder, kind: str) -> list[Event]:
    return [event for event in read_events(run.attempts / "train-1/events.jsonl") if event.kind == kind]


@pytest.mark.slow
@pytest.mark.parametrize("method", FIGURES)
def test_held_out_figures_come_at_each_checkpoint(method: str, causal: Path, tmp_path: Path) -> None:
    model = make_masked(tmp_path / "masked", TEXTS) if method == "mlm" else causal
    rows = rows_for(method)
    run = make_run(tmp_path / "run", method, model, rows, rows[:4], max_steps=6, save_steps=2, learning_rate=5e-3)
    assert train(run.path)
    measured = events_of(run, "evaluated")
    assert [event.data["step"] for event in measured] == [0, 2, 4, 6]
    assert all({"eval_loss", FIGURES[method]} <= event.data.keys() for event in measured)
    assert measured[-1].data["eval_loss"] < measured[0].data["eval_loss"]


def test_each_step_says_rate_gradient_speed_and_memory(causal: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "sft", causal, rows_for("sft"), max_steps=2)
    assert train(run.path)
    for event in events_of(run, "step"):
        assert event.data["learning_rate"] >= 0 and event.data["grad_norm"] > 0
        assert event.data["tokens_per_s"] > 0 and event.data["memory_gb"] > 0


@pytest.mark.slow
def test_a_loss_that_does_not_move_is_hinted_at_once(causal: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "sft", causal, rows_for("sft"), max_steps=44, learning_rate=1e-9)
    assert train(run.path)
    hints = [event.data for event in events_of(run, "warning") if "hint" in event.data]
    assert [hint["hint"] for hint in hints] == ["flat"]
    assert "has not moved in 40 steps" in hints[0]["text"]


@pytest.mark.parametrize("word", ["auto", "chatml", "zephyr", "none"])
def test_turns_are_written_by_the_template_that_was_chosen(word: str, bare: Path, tmp_path: Path) -> None:
    given: dict[str, Value] = {} if word == "auto" else {"template": word}
    run = make_run(tmp_path / "run", "sft", bare, rows_for("sft"), (), max_steps=1, **given)
    assert train(run.path)
    output = run.attempts / "train-1/output"
    wanted = encoding.TEMPLATES["chatml" if word == "auto" else word]
    assert AutoTokenizer.from_pretrained(output).chat_template == wanted


@pytest.mark.parametrize("word", ["auto", "chatml", "zephyr", "none"])
def test_the_end_of_an_answer_is_learned_and_padding_is_not_it(word: str, causal: Path) -> None:
    tokenizer = tokenizer_of(causal, word)
    row = encoding.text_row(tokenizer, {**rows_for("sft")[0], "row": 1}, 128)
    assert row is not None
    assert row["labels"][-1] == tokenizer.eos_token_id or tokenizer.eos_token_id in row["labels"]
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    plain = encoding.text_row(tokenizer, {"text": "hello", "row": 1}, 128)
    assert plain is not None and plain["labels"][-1] == tokenizer.eos_token_id


def tokenizer_of(model: Path, word: str) -> Any:
    """As the training has it, of a model that is padded with its eos."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.pad_token = tokenizer.eos_token
    choose_pad(tokenizer)
    if word != "auto":
        tokenizer.chat_template = encoding.TEMPLATES[word]
    return tokenizer


def test_only_the_assistants_turns_are_learned(causal: Path) -> None:
    tokenizer = tokenizer_of(causal, "auto")
    row = encoding.text_row(tokenizer, {**rows_for("sft")[0], "row": 1}, 128)
    assert row is not None
    learned = tokenizer.decode([label for label in row["labels"] if label != encoding.IGNORED])
    assert "nice to meet you" in learned and "hello" not in learned


def test_a_first_batch_that_teaches_nothing_ends_before_anything_is_measured(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is where a template marks no answer at all."""
    real = encoding.text_row

    def unmarked(*given: Any) -> Any:
        row = real(*given)
        return row and {**row, "labels": [encoding.IGNORED] * len(row["labels"])}

    monkeypatch.setattr(encoding, "text_row", unmarked)
    run = make_run(tmp_path / "run", "sft", causal, rows_for("sft"), rows_for("sft")[:2], max_steps=2)
    assert not train(run.path)
    (failed,) = events_of(run, "failed")
    assert failed.data["code"] == "data"
    assert "every label is masked" in failed.data["reason"]
    assert not events_of(run, "evaluated")
