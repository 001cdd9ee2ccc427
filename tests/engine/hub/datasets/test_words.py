"""What names a dataset of the Hub, and which files of a repo are meant."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from engine.hub.datasets.choosing import choose
from engine.hub.datasets.words import HubDataset, parse
from engine.refusal import Refusal

SPLITS = ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hf:org/name", HubDataset("org/name")),
        ("hf:squad", HubDataset("squad")),
        ("hf:org/name:test", HubDataset("org/name", split="test")),
        ("hf:org/name[small]:train[:1000]", HubDataset("org/name", config="small", end=1000)),
        ("hf:org/name@1a2b3c:dev[10:20]", HubDataset("org/name", "1a2b3c", "", "dev", 10, 20)),
        ("hf:org/name:train[5:]", HubDataset("org/name", start=5)),
    ],
)
def test_the_words_name_a_repo_a_configuration_a_split_and_a_slice(text: str, meant: HubDataset) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text", ["hf:", "hf:../x", "hf:a/b/c", "hf:org/name:train[:10%]", "hf:org/name:train[9:3]", "hf:org/na me"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(text)
    assert refusal.value.field == "file"


@pytest.mark.parametrize(
    ("names", "configs", "text", "files"),
    [
        (SPLITS, [], "hf:o/n", SPLITS[:2]),
        (SPLITS, [], "hf:o/n:test", SPLITS[2:]),
        (("README.md", "rows.csv"), [], "hf:o/n", ["rows.csv"]),
        (("train.csv", "train.parquet", "valid.csv"), [], "hf:o/n", ["train.parquet"]),
        (("train.csv", "dev.csv"), [], "hf:o/n:validation", ["dev.csv"]),
        (("en/train.jsonl", "de/train.jsonl"), [], "hf:o/n[de]", ["de/train.jsonl"]),
        (("a.csv", "b.csv"), [{"config_name": "default", "data_files": "a.csv"}], "hf:o/n", ["a.csv"]),
        (
            ("x/a.csv", "x/b.csv", "y/c.csv"),
            [
                {"config_name": "one", "data_files": [{"split": "train", "path": "y/*.csv"}]},
                {"config_name": "two", "data_files": [{"split": "train", "path": ["x/*.csv"]}]},
            ],
            "hf:o/n[two]",
            ["x/a.csv", "x/b.csv"],
        ),
        (("x/train.csv", "y/train.csv"), [{"config_name": "default", "data_dir": "y"}], "hf:o/n", ["y/train.csv"]),
    ],
)
def test_files_are_chosen_by_the_card_or_by_their_names(
    names: Sequence[str], configs: Sequence[Mapping[str, Any]], text: str, files: Sequence[str]
) -> None:
    assert choose(names, configs, parse(text)) == list(files)


@pytest.mark.parametrize(
    ("names", "configs", "text", "said"),
    [
        (SPLITS, [], "hf:o/n:validation", "`test`, `train`"),
        (("model.py",), [], "hf:o/n", "no file that I can read"),
        (("en/train.csv", "de/train.csv"), [], "hf:o/n[fr]", "`de`, `en`"),
        (("a.csv",), [{"config_name": "x"}, {"config_name": "y"}], "hf:o/n", "hf:o/n[x]:train"),
        (("a.csv",), [{"config_name": "x"}], "hf:o/n[z]", "`x`"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(
    names: Sequence[str], configs: Sequence[Mapping[str, Any]], text: str, said: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        choose(names, configs, parse(text))
    assert said in refusal.value.text
