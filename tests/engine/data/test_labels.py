"""Single answers that are marked good or bad: what is a label, and what kto is told of them."""

import json
from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.columns import label_of
from engine.data.trainer_rows import read_source, trainer_row
from engine.jobs import Source
from tests.engine.data.tables import KTO, write_csv

WAY = {"prompt": "prompt", "text": "text", "label": "label"}


def source(way: dict[str, str]) -> Source:
    return Source("a.csv", "0" * 64, way)


@pytest.mark.parametrize(
    ("value", "label"),
    [
        *((word, True) for word in ("true", "True", "1", " yes ", True, 1, "1.0")),
        *((word, False) for word in ("false", "0", "No", False, 0)),
        *((word, None) for word in ("", None, "perhaps", "2", "0.7")),
    ],
)
def test_a_label_says_good_or_bad_in_a_word(value: object, label: bool | None) -> None:
    assert label_of(value) is label


def test_labels_are_counted_and_the_type_is_unpaired_preference(tmp_path: Path) -> None:
    report = check(write_csv(tmp_path / "a.csv", KTO))
    assert report.type == "unpaired preference, standard"
    assert report.stats["labels"] == {"good": 4, "bad": 4}
    assert dict(report.methods["kto"].mapping) == WAY
    assert report.methods["sft"].usable, "the same answers can be learned as they stand"


def test_a_column_of_topics_is_no_column_of_labels(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "text": "b", "label": "sports"}, {"prompt": "c", "text": "d", "label": "news"}]
    path = write_csv(tmp_path / "a.csv", rows)
    report = check(path)
    assert "bad_label" not in report.counts and report.methods["sft"].usable and not report.methods["kto"].usable
    assert check(path, method="kto").counts["bad_label"] == 2


@pytest.mark.parametrize("label", [True, False, 1, 0])
def test_labels_of_json_reach_the_trainer_as_true_and_false(label: object, tmp_path: Path) -> None:
    path, arrow = tmp_path / "a.jsonl", tmp_path / "rows.arrow"
    path.write_text(json.dumps({"prompt": "a", "completion": "b", "label": label}) + "\n", encoding="utf-8")
    way = dict(check(path, method="kto", arrow=arrow).methods["kto"].mapping)
    (row,) = read_source(arrow)
    assert trainer_row(row, "kto", source(way), False) == {"prompt": "a\n", "completion": "b", "label": bool(label)}


def test_turns_are_one_prompt_and_one_answer() -> None:
    asked, said = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi nice to meet you"}
    wanted = {"prompt": [asked], "completion": [said], "label": True}
    assert trainer_row(KTO[0], "kto", source(WAY), True) == wanted
    row = {"prompt": json.dumps([asked]), "completion": json.dumps([said]), "label": "true"}
    assert trainer_row(row, "kto", source({**WAY, "text": "completion"}), False) == wanted
