"""A dataset comes from the Hub at its commit, whole or in part, and what stands against it is said in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.events import read_events
from engine.folder import RunFolder
from engine.hub.client import connect
from engine.hub.datasets.bringing import Brought, bring
from engine.refusal import Refusal
from tests.mini import make_causal
from tests.twins.hub import Twin

REPO = "local/rows"
CARD = """---
configs:
- config_name: small
  default: true
  data_files:
  - split: train
    path: small/*.csv
- config_name: large
  data_files:
  - split: train
    path: large/*.jsonl
---
"""
CSV = 'text\n"one, 007"\nNA\n'
MANY_MB = 10_000_000


def put(twin: Twin, **files: str) -> str:
    """A dataset on the Hub, with these files; its commit."""
    api = connect(twin.token, twin.url)
    api.create_repo(REPO, repo_type="dataset", private=False, exist_ok=True)
    sha = ""
    for name, text in files.items():
        path = name.replace("__", "/").replace("_DOT_", ".")
        done = api.upload_file(path_or_fileobj=text.encode(), path_in_repo=path, repo_id=REPO, repo_type="dataset")
        sha = str(done.oid)
    return sha


def brought(twin: Twin, text: str, folder: Path, limit_bytes: int = MANY_MB) -> Brought:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in twin.environment(folder / "home").items():
            patch.setenv(name, value)
        return bring(text, folder / "file", folder / "cache", limit_bytes)


@pytest.fixture
def sha(twin: Twin) -> str:
    large = {f"large__{part}_DOT_jsonl": "".join(f'{{"text":"{part}{i}"}}\n' for i in range(3)) for part in "ab"}
    return put(twin, README_DOT_md=CARD, small__rows_DOT_csv=CSV, **large)


def test_one_whole_file_comes_byte_for_byte_at_its_commit(twin: Twin, sha: str, tmp_path: Path) -> None:
    found = brought(twin, f"hf:{REPO}", tmp_path)
    assert (tmp_path / "file").read_text() == CSV
    assert (found.sha, found.repo) == (sha, REPO)
    assert found.name == f"rows-{sha[:12]}-train.csv"


def test_a_slice_over_several_files_is_written_as_rows(twin: Twin, sha: str, tmp_path: Path) -> None:
    found = brought(twin, f"hf:{REPO}[large]:train[2:4]", tmp_path)
    rows = [json.loads(line)["text"] for line in (tmp_path / "file").read_text().splitlines()]
    assert (rows, found.rows) == (["a2", "b0"], 2)
    assert found.name == f"rows-{sha[:12]}-large-train-2-4.jsonl"


def test_an_older_commit_can_be_named(twin: Twin, sha: str, tmp_path: Path) -> None:
    put(twin, small__rows_DOT_csv="text\nnew\n")
    assert brought(twin, f"hf:{REPO}@{sha}", tmp_path).sha == sha
    assert (tmp_path / "file").read_text() == CSV


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf:local/nothing", "There is no dataset local/nothing"),
        (f"hf:{REPO}@0123abcd", "not at 0123abcd"),
        (f"hf:{REPO}:test", "no split `test`"),
        (f"hf:{REPO}[large]:train[90:99]", "6 rows, so that slice is empty"),
    ],
)
def test_what_is_not_there_is_said_in_words(twin: Twin, sha: str, text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal) as refusal:
        brought(twin, text, tmp_path)
    assert said in refusal.value.text


def test_more_than_is_taken_is_refused_with_a_slice_to_take(twin: Twin, sha: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"hf:local/rows:train\[:1000\]"):
        brought(twin, f"hf:{REPO}", tmp_path, limit_bytes=4)


def test_a_broken_file_among_several_is_named(twin: Twin, sha: str, tmp_path: Path) -> None:
    put(twin, large__b_DOT_jsonl='{"text":"b0"}\n{"text":\n')
    with pytest.raises(Refusal, match=r"b\.jsonl of the dataset is broken\. Line 2"):
        brought(twin, f"hf:{REPO}[large]", tmp_path)


def engine(twin: Twin, home: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "engine", *map(str, words)]
    environment = {**os.environ, **twin.environment(home), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=home.parent, timeout=300, check=False
    )


def test_a_dataset_of_the_hub_is_checked_from_the_command_line(twin: Twin, sha: str, tmp_path: Path) -> None:
    done = engine(twin, tmp_path / "home", "check", f"hf:{REPO}", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["rows"], report["columns"]) == (0, 2, ["text"])
    assert sha in done.stderr


def test_a_preview_reads_both_its_files_from_the_hub(twin: Twin, sha: str, tmp_path: Path) -> None:
    model = make_causal(tmp_path / "mini", ["a0 b1"])
    words = (f"hf:{REPO}[large]:train[:4]", f"valid=hf:{REPO}[large]:train[3:]", "--model", model, "--json")
    done = engine(twin, tmp_path / "home", "preview", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = json.loads(done.stdout)
    assert (shown["rows_used"], shown["rows_held_out"]) == (4, 3)
    assert "1 of 3 rows" in shown["warnings"][0], "the row that is in both is named"


@pytest.mark.slow
def test_a_training_on_datasets_of_the_hub_keeps_the_commit_that_it_read(twin: Twin, sha: str, tmp_path: Path) -> None:
    model = make_causal(tmp_path / "mini", ["a0 b1"])
    words = (f"hf:{REPO}[large]", f"valid=hf:{REPO}[large]:train[:2]", "--method", "sft", "--model", model)
    done = engine(twin, tmp_path / "home", "train", *words, "max_steps=2")
    assert done.returncode == 0, done.stdout + done.stderr
    run = RunFolder(tmp_path / "runs" / "rows-sft")
    spec = run.read_spec()
    assert spec.train.name == f"rows-{sha[:12]}-large-train.jsonl" and spec.valid
    assert (run.data / spec.train.name).exists()
    assert read_events(run.attempts / "train-1/events.jsonl")[-1].kind == "finished"
    missing = engine(twin, tmp_path / "home", "train", "hf:local/nothing", "--method", "sft", "--model", model)
    assert missing.returncode == 1 and "There is no dataset local/nothing" in missing.stderr
