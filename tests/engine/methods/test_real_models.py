"""The embedded models learn the examples within the steps of the demo: facts, preferences, scores and words.

Everything goes through the command line with the usual settings, as a person would start it.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.events import Event, read_events

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the embedded models are ready: the project's own cache, or a new one."""
    own = ROOT / "data" / "cache"
    folder = own if (own / "embedded").is_dir() else tmp_path_factory.mktemp("cache")
    command = [sys.executable, "-m", "engine", "prepare", "--cache", str(folder)]
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True)
    return folder


def trained(cache: Path, out: Path, method: str, name: str, steps: int) -> Event:
    """The last event of a training of the example `name`, measured on its held-out rows."""
    words = [str(EXAMPLES / f"{name}.csv"), "--method", method, "--out", str(out), f"max_steps={steps}"]
    words += [f"valid={EXAMPLES / f'{name}-heldout.csv'}"]
    words += ["unescape=on"] if name in ("facts", "rewards") else []
    environment = {**os.environ, "HF_HOME": str(cache)}
    command = [sys.executable, "-m", "engine", "train", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    events = read_events(out / "attempts/train-1/events.jsonl")
    assert max(event.data["step"] for event in events if event.kind == "step") == steps
    return events[-1]


def right(answers: list[Mapping[str, str]], which: str) -> int:
    """How many answers hold all words of at least one set that the facts file names."""
    facts = json.loads((EXAMPLES / "facts-heldout.json").read_text(encoding="utf-8"))
    assert len(facts) == len(answers) == 5
    return sum(
        any(all(word.lower() in answer[which].lower() for word in words) for words in fact["any_of"])
        for fact, answer in zip(facts, answers, strict=True)
    )


def test_sft_teaches_facts_that_the_base_does_not_know(cache: Path, tmp_path: Path) -> None:
    finished = trained(cache, tmp_path / "run", "sft", "facts", 60)
    assert finished.data["are_answers_held_out"] is True
    assert right(finished.data["answers"], "base") == 0
    assert right(finished.data["answers"], "tuned") >= 3


def test_clm_makes_the_passages_likelier(cache: Path, tmp_path: Path) -> None:
    metrics = trained(cache, tmp_path / "run", "clm", "passages", 60).data["metrics"]
    assert metrics["eval_loss"] < metrics["base_eval_loss"]


def test_dpo_widens_the_margin(cache: Path, tmp_path: Path) -> None:
    metrics = trained(cache, tmp_path / "run", "dpo", "preferences", 25).data["metrics"]
    assert metrics["eval_reward_margin"] > 0.1 > metrics["base_eval_reward_margin"]
    assert metrics["eval_logp_margin"] > metrics["base_eval_logp_margin"]


def test_orpo_widens_the_margin(cache: Path, tmp_path: Path) -> None:
    metrics = trained(cache, tmp_path / "run", "orpo", "preferences", 25).data["metrics"]
    assert metrics["eval_log_odds_margin"] > metrics["base_eval_log_odds_margin"] + 0.1


def test_a_reward_model_learns_to_tell_right_from_wrong(cache: Path, tmp_path: Path) -> None:
    metrics = trained(cache, tmp_path / "run", "reward", "rewards", 50).data["metrics"]
    assert metrics["eval_reward_accuracy"] > metrics["base_eval_reward_accuracy"]


def test_mlm_lowers_the_loss_at_hidden_words(cache: Path, tmp_path: Path) -> None:
    metrics = trained(cache, tmp_path / "run", "mlm", "passages", 50).data["metrics"]
    assert metrics["eval_loss"] < metrics["base_eval_loss"] - 0.5
