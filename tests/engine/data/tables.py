"""The tables of AutoTrain's page, as people copy them, and ways to write rows to files."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.data.checks import check
from engine.data.types import Issue

Rows = Sequence[Mapping[str, str]]

QUESTIONS = (
    ("hello", "hi nice to meet you", "leave me alone"),
    ("how are you", "I am fine", "I am not fine"),
    ("What is your name?", "My name is Mary", "Whats it to you?"),
    ("Which is the best programming language?", "Python", "Javascript"),
)
SFT: Rows = [{"text": f"human: {asked} \\n bot: {answer}"} for asked, answer, _ in QUESTIONS]
REWARD: Rows = [
    {"text": f"human: {asked} \\n bot: {answer}", "rejected_text": f"human: {asked} \\n bot: {worse}"}
    for asked, answer, worse in QUESTIONS
]
DPO: Rows = [
    {"prompt": "hello", "text": "hi nice to meet you", "rejected_text": "leave me alone"},
    {"prompt": "how are you", "text": "I am fine", "rejected_text": "I am not fine"},
    {"prompt": "What is your name?", "text": "My name is Mary", "rejected_text": "Whats it to you?"},
    {"prompt": "What is your name?", "text": "My name is Mary", "rejected_text": "I dont have a name"},
    {"prompt": "Which is the best programming language?", "text": "Python", "rejected_text": "Javascript"},
    {"prompt": "Which is the best programming language?", "text": "Python", "rejected_text": "C++"},
    {"prompt": "Which is the best programming language?", "text": "Java", "rejected_text": "C++"},
]
KTO: Rows = [
    {"prompt": asked, "text": text, "label": label}
    for asked, answer, worse in QUESTIONS
    for text, label in ((answer, "true"), (worse, "false"))
]
TABLES: Mapping[str, Rows] = {"sft": SFT, "clm": SFT, "mlm": SFT, "reward": REWARD, "dpo": DPO, "orpo": DPO, "kto": KTO}


def write_csv(path: Path, rows: Rows, delimiter: str = ",") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def found(folder: Path, name: str, content: bytes) -> list[Issue]:
    path = folder / name
    path.write_bytes(content)
    return list(check(path).issues)
