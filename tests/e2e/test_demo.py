"""`python -m bot demo METHOD` on the real embedded models, read from the record that it leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.settings import Settings
from engine.data.types import NEEDS

pytestmark = pytest.mark.slow
STEPS = {"sft": 60, "clm": 60, "dpo": 25, "orpo": 25, "kto": 25, "reward": 50, "mlm": 50}
DEMO_S = 600
MAX_RSS_MB = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One working folder for all, so that the base models are made ready once."""
    return tmp_path_factory.mktemp("demo")


@pytest.mark.parametrize("method", NEEDS)
def test_the_demo_brings_a_better_model_and_its_link(method: str, folder: Path) -> None:
    command = [sys.executable, "-m", "bot", "demo", method]
    # As a person runs it: with all cores, though the tests around it take one.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEMO_S,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    record = json.loads((folder / "data" / "demo" / "demo.json").read_text())
    assert record["status"] == "succeeded"
    assert record["steps"] == list(range(1, STEPS[method] + 1))
    assert record["local_files"] and record["local_files"] == record["remote_files"]
    assert 0 < record["bot_peak_rss_mb"] < MAX_RSS_MB
    check_the_conversation(record["messages"])
    IMPROVED[method](record)


def check_the_conversation(messages: dict[str, dict[str, Any]]) -> None:
    """One living message, edited in place; one at the end; one card for the team."""
    live = [message for key, message in messages.items() if key.endswith("/live")]
    assert len(live) == 1 and live[0]["edits"] >= 5
    assert [message["edits"] for key, message in messages.items() if key.endswith("/final")] == [0]
    assert [message["place"] for key, message in messages.items() if key.endswith("/card")] == ["team"]


def knows(answer: str, any_of: list[list[str]]) -> bool:
    """Whether all words of at least one set occur in the answer."""
    return any(all(word.lower() in answer.lower() for word in words) for words in any_of)


def sft_learned(record: dict[str, Any]) -> None:
    """The tuned model answers at least three of five held-out questions with the project's facts, the base none."""
    facts = json.loads((Settings(_env_file=None).examples / "facts-heldout.json").read_text())
    any_of = {entry["question"]: entry["any_of"] for entry in facts}
    assert {answer["prompt"] for answer in record["answers"]} == set(any_of)
    assert sum(knows(answer["tuned"], any_of[answer["prompt"]]) for answer in record["answers"]) >= 3
    assert sum(knows(answer["base"], any_of[answer["prompt"]]) for answer in record["answers"]) == 0


def rose(name: str, least: float) -> Callable[[dict[str, Any]], None]:
    """The metric is higher than the base model's by at least so much."""

    def check(record: dict[str, Any]) -> None:
        assert record["metrics"][name] >= record["metrics"][f"base_{name}"] + least

    return check


def loss_fell(record: dict[str, Any]) -> None:
    assert record["metrics"]["eval_loss"] < record["metrics"]["base_eval_loss"] - 0.5


IMPROVED = {
    "sft": sft_learned,
    "clm": loss_fell,
    "mlm": loss_fell,
    "dpo": rose("eval_reward_margin", 0.1),
    "orpo": rose("eval_log_odds_margin", 0.1),
    "reward": rose("eval_reward_accuracy", 0.1),
    "kto": rose("eval_reward_margin", 0.1),
}
