"""The tables that people know from AutoTrain's page train to the end as they stand, as CSV and as JSONL."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.trainer_rows import write_trainer_rows
from engine.data.types import NEEDS
from engine.events import read_events
from engine.folder import RunFolder
from engine.jobs import JobSpec, Model, Source
from engine.work.train import train
from engine.work.training.rows import read_rows
from tests.engine.data.tables import write_csv, write_jsonl

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions

QUESTIONS = ("hello", "how are you", "What is your name?", "Which is the best programming language?")
GOOD = ("hi nice to meet you", "I am fine", "My name is Mary", "Python")
BAD = ("leave me alone", "I am not fine", "Whats it to you?", "Javascript")
PAIRS = (
    ("hello", "hi nice to meet you", "leave me alone"),
    ("how are you", "I am fine", "I am not fine"),
    ("What is your name?", "My name is Mary", "Whats it to you?"),
    ("What is your name?", "My name is Mary", "I dont have a name"),
    ("Which is the best programming language?", "Python", "Javascript"),
    ("Which is the best programming language?", "Python", "C++"),
    ("Which is the best programming language?", "Java", "C++"),
)


def turns(question: str, answer: str) -> str:
    """With backslash and n as two characters, as the page writes them."""
    return f"human: {question} \\n bot: {answer}"


def table(method: str) -> list[Mapping[str, str]]:
    if method in ("dpo", "orpo"):
        return [{"prompt": prompt, "text": text, "rejected_text": other} for prompt, text, other in PAIRS]
    if method == "kto":
        good = [{"prompt": prompt, "text": text, "label": "true"} for prompt, text, _ in PAIRS]
        return [*good, *({"prompt": prompt, "text": other, "label": "false"} for prompt, _, other in PAIRS)]
    texts = [{"text": turns(question, answer)} for question, answer in zip(QUESTIONS, GOOD, strict=True)]
    if method != "reward":
        return list(texts)
    others = [turns(question, answer) for question, answer in zip(QUESTIONS, BAD, strict=True)]
    return [{**row, "rejected_text": other} for row, other in zip(texts, others, strict=True)]


def write(path: Path, rows: list[Mapping[str, str]]) -> Path:
    return write_jsonl(path, rows) if path.suffix == ".jsonl" else write_csv(path, rows)


@pytest.mark.parametrize("as_conversation", [False, True], ids=["plain", "turns"])
@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("method", NEEDS)
def test_a_documented_table_trains_to_the_end(
    method: str, suffix: str, as_conversation: bool, causal: Path, encoder: Path, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    run.data.mkdir(parents=True)
    rows = table(method)
    report = check(write(tmp_path / f"rows.{suffix}", rows), method=method, arrow=run.source("train"))
    fit = report.methods[method]
    assert (fit.usable, fit.rows_used) == (True, len(rows))
    source = Source(report.file, report.sha256, fit.mapping, as_conversation, as_conversation and method != "mlm")
    run.write_spec(JobSpec(method, Model("tests/mini", "a" * 40), source, parameters={"max_steps": 2}))
    run.model.symlink_to(encoder if method == "mlm" else causal)
    write_trainer_rows(run, run.read_spec(), has_template=method != "mlm" and as_conversation)
    assert len(read_rows(run.rows("train"))) == len(rows)
    assert train(run.path)
    assert read_events(run.attempts / "train-1/events.jsonl")[-1].kind == "finished"
