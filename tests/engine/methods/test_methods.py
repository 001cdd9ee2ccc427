"""Each method trains a tiny model for real, and what it writes can be loaded and used."""

import hashlib
import json
from pathlib import Path

import pytest

from engine.data.types import NEEDS
from engine.events import Event, read_events
from engine.folder import RunFolder
from engine.jobs import Value
from engine.work.train import train
from tests.engine.methods.conftest import rows_for
from tests.mini import make_run

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions

FIGURES = {
    "sft": {"eval_loss", "eval_perplexity"},
    "clm": {"eval_loss", "eval_perplexity"},
    "reward": {"eval_loss", "eval_reward_accuracy", "eval_reward_margin"},
    "dpo": {"eval_loss", "eval_reward_accuracy", "eval_reward_margin", "eval_preference_accuracy", "eval_logp_margin"},
    "kto": {"eval_loss", "eval_reward_accuracy", "eval_reward_margin"},
    "orpo": {"eval_reward_accuracy", "eval_log_odds_margin", "eval_preference_accuracy", "eval_logp_margin"},
    "mlm": {"eval_loss", "eval_masked_accuracy"},
}


def trained(
    folder: Path, method: str, model: Path, valid: int = 4, is_good: bool = True, **parameters: Value
) -> tuple[RunFolder, list[Event]]:
    """A finished training of a few steps at a high learning rate, and its events."""
    settings: dict[str, Value] = {"epochs": 4, "learning_rate": 5e-3, **parameters}
    run = make_run(folder, method, model, rows_for(method), rows_for(method)[:valid], **settings)
    assert train(folder) is is_good
    return run, read_events(folder / "attempts/train-1/events.jsonl")


def losses(events: list[Event]) -> list[float]:
    return [event.data["loss"] for event in events if event.kind == "step"]


@pytest.mark.parametrize("method", NEEDS)
def test_a_method_trains_to_the_end(method: str, causal: Path, encoder: Path, tmp_path: Path) -> None:
    run, events = trained(tmp_path / "run", method, encoder if method == "mlm" else causal)
    assert [event.kind for event in events].count("finished") == 1
    assert events[-1].kind == "finished"
    curve = losses(events)
    assert len(curve) == 16
    assert sum(curve[-4:]) < 0.8 * sum(curve[:4])
    metrics = events[-1].data["metrics"]
    assert {*FIGURES[method], *(f"base_{name}" for name in FIGURES[method]), "train_loss"} == metrics.keys()
    answers = events[-1].data["answers"]
    assert len(answers) == (2 if method == "kto" else 4)  # the good ones
    assert all(answer["expected"] for answer in answers)
    assert any(answer["base"] != answer["tuned"] for answer in answers)
    assert events[-1].data["are_answers_held_out"] is True
    assert (tmp_path / "run/attempts/train-1/loss.png").read_bytes().startswith(b"\x89PNG")
    check_output(run, tmp_path)


def check_output(run: RunFolder, parent: Path) -> None:
    """Only files that may be published, and none that names a path of this machine."""
    output = run.attempts / "train-1" / "output"
    names = {path.name for path in output.iterdir()}
    weights = {"adapter_config.json", "adapter_model.safetensors"}
    full = {"config.json", "generation_config.json", "model.safetensors"}
    assert names <= {*weights, *full, "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert names & {"adapter_model.safetensors", "model.safetensors"}
    for path in output.iterdir():
        assert str(parent).encode() not in path.read_bytes(), path.name


def test_a_lora_names_its_base_by_id_and_commit(causal: Path, tmp_path: Path) -> None:
    run, _ = trained(tmp_path / "run", "sft", causal, max_steps=1)
    config = json.loads((run.attempts / "train-1/output/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tests/mini"
    assert config["revision"] == "a" * 40


@pytest.mark.parametrize("method", NEEDS)
def test_without_a_lora_all_weights_are_trained_and_written(
    method: str, causal: Path, masked: Path, tmp_path: Path
) -> None:
    run, events = trained(tmp_path / "run", method, masked if method == "mlm" else causal, lora=False)
    assert (run.attempts / "train-1/output/model.safetensors").exists()
    assert losses(events)[-1] < losses(events)[0]


def test_an_encoder_can_be_trained_by_a_lora_and_a_new_head(encoder: Path, tmp_path: Path) -> None:
    run, events = trained(tmp_path / "run", "mlm", encoder, lora=True)
    assert (run.attempts / "train-1/output/adapter_model.safetensors").exists()
    assert losses(events)[-1] < losses(events)[0]


def test_a_merged_lora_is_a_whole_model(causal: Path, tmp_path: Path) -> None:
    run, events = trained(tmp_path / "run", "sft", causal, merge=True)
    assert (run.attempts / "train-1/output/model.safetensors").exists()
    assert not (run.attempts / "train-1/output/adapter_config.json").exists()
    assert events[-1].kind == "finished"


@pytest.mark.parametrize("method", ["sft", "clm"])
def test_packing_puts_short_rows_together(method: str, causal: Path, tmp_path: Path) -> None:
    _, events = trained(tmp_path / "run", method, causal, packing=True, epochs=3, max_length=128, batch_size=1)
    assert 3 <= len(losses(events)) < 3 * 16
    assert losses(events)[-1] < losses(events)[0]


def test_without_held_out_rows_the_answers_are_to_known_questions(causal: Path, tmp_path: Path) -> None:
    _, events = trained(tmp_path / "run", "sft", causal, valid=0)
    assert events[-1].data["are_answers_held_out"] is False
    assert len(events[-1].data["answers"]) == 5
    assert events[-1].data["metrics"].keys() == {"train_loss"}


@pytest.mark.parametrize("method", ["sft", "reward", "dpo", "orpo"])
def test_the_same_seed_gives_the_same_run(method: str, causal: Path, tmp_path: Path) -> None:
    runs = [trained(tmp_path / name, method, causal, max_steps=4)[1] for name in ("one", "two")]
    assert losses(runs[0]) == losses(runs[1])
    assert runs[0][-1].data["answers"] == runs[1][-1].data["answers"]


def test_dpo_without_known_reference_asks_the_base_with_the_lora_off(causal: Path, tmp_path: Path) -> None:
    """Few steps see few rows, so the reference is not computed for all of them beforehand; the losses are the same."""
    _, some = trained(tmp_path / "some", "dpo", causal, max_steps=3)
    _, all_rows = trained(tmp_path / "all", "dpo", causal, max_steps=4)
    assert losses(some)[:2] == pytest.approx(losses(all_rows)[:2], abs=1e-4)


def test_a_model_without_a_template_gets_one_for_conversations(tmp_path: Path) -> None:
    from tests.mini import make_causal

    model = make_causal(tmp_path / "model", ["hello nice to meet you"], has_template=False)
    run, events = trained(tmp_path / "run", "sft", model, max_steps=1)
    template = (run.attempts / "train-1/output/chat_template.jinja").read_text()
    assert "im_start" in template
    assert events[-1].data["template_sha256"] == hashlib.sha256(template.encode()).hexdigest()


def test_a_reward_model_scores_the_same_once_loaded_where_padding_is_eos(tmp_path: Path) -> None:
    """The base's config says where the score is read; many models pad with their eos."""
    from tests.mini import make_causal

    model = make_causal(tmp_path / "model", ["hello nice to meet you, go away"] * 5)
    for name, key, value in (("config", "pad_token_id", 2), ("tokenizer_config", "pad_token", "<|im_end|>")):
        path = model / f"{name}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    _, events = trained(tmp_path / "run", "reward", model)
    margins = []
    for answer in events[-1].data["answers"]:
        chosen, rejected = (float(part.split()[-1]) for part in answer["tuned"].split(","))
        margins.append(chosen - rejected)
    assert sum(margins) / len(margins) == pytest.approx(events[-1].data["metrics"]["eval_reward_margin"], abs=0.05)
