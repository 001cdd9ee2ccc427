"""A row to measure on whose prompt is trained on is found, and others are not."""

from pathlib import Path

from engine.data.checks import check
from engine.data.leakage import leak_words, leaks
from tests.engine.data.tables import SFT, Rows, write_csv


def arrow(folder: Path, name: str, rows: Rows) -> Path:
    path = folder / f"{name}.arrow"
    check(write_csv(folder / f"{name}.csv", rows), arrow=path)
    return path


def test_the_same_prompt_in_both_files_is_a_leak(tmp_path: Path) -> None:
    way = {"prompt": "prompt", "text": "text"}
    train = arrow(tmp_path, "train", [{"prompt": "a", "text": "b"}, {"prompt": "c", "text": "d"}])
    valid = arrow(tmp_path, "valid", [{"prompt": "b", "text": "a"}, {"prompt": "c", "text": "other"}])
    assert leaks(train, valid, way) == [(2, 2)]
    assert leaks(train, arrow(tmp_path, "new", [{"prompt": "x", "text": "b"}]), way) == []


def test_the_first_turn_is_the_prompt_of_a_conversation(tmp_path: Path) -> None:
    train = arrow(tmp_path, "train", SFT)
    valid = arrow(tmp_path, "valid", [{"text": "human: how are you \\n bot: well"}, {"text": "human: who \\n bot: me"}])
    assert leaks(train, valid, {"text": "text"}) == [(1, 2)]


def test_a_leak_is_said_with_its_rows() -> None:
    assert leak_words([], 7, "a.csv", {}) == ""
    assert leak_words([(2, 1)], 7, "a.csv", {}).startswith("1 of 7 rows to measure on")
    assert "(rows 1, 2, 3, 4, 5 … of `a.csv`)" in leak_words([(row, 9) for row in range(1, 10)], 12, "a.csv", {})
    assert "(lines 3, 9 of `a.csv`)" in leak_words([(2, 1), (5, 1)], 7, "a.csv", {2: 3, 5: 9})
