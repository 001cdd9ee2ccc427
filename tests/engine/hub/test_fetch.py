"""Fetching as a child of its own: the model at its commit, its bytes told, the rows in the trainer's columns."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from huggingface_hub import HfApi

from engine.folder import RunFolder
from engine.hub.client import connect
from engine.hub.download.fetch import fetch as work
from engine.hub.download.fetch import make_room
from engine.jobs import JobSpec, Model, Source
from tests.engine.hub.conftest import BASE, engine, events_of, last, put_base
from tests.twins.hub import Twin

ROWS = [{"text": f"human: hello {number} bot: hi"} for number in range(6)]


@pytest.fixture
def api(twin: Twin) -> HfApi:
    return connect(twin.token, twin.url, 10)


@pytest.fixture
def folder(bases: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(bases["causal"], tmp_path / "changed"))


def make(place: Path, model: Model, rows: list[dict[str, str]] | None = None) -> RunFolder:
    """A run as the bot leaves it before the fetch."""
    run = RunFolder(place / "7")
    run.write_spec(JobSpec("sft", model, Source("x.csv", "0" * 64, {"text": "text"})))
    table = pa.Table.from_pylist(ROWS if rows is None else rows, pa.schema([("text", pa.string())]))
    with pa.OSFile(str(run.source("train")), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)
    return run


def fetch(run: RunFolder, twin: Twin, token: str | None = None, patience_s: float = 5) -> bool:
    """The work of the child, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in twin.environment(run.path.parent / "home", token).items():
            patch.setenv(name, value)
        return work(run.path, patience_s=patience_s)


def reason(run: RunFolder, attempt: str = "fetch-1") -> str:
    end = last(run, attempt)
    assert end.kind == "failed"
    return str(end.data["reason"])


def test_a_full_cache_loses_the_model_that_was_used_longest_ago(
    twin: Twin, bases: dict[str, Path], tmp_path: Path
) -> None:
    cache = tmp_path / "home"
    for number, repo in enumerate(("local/old", "local/older", BASE)):
        run = make(tmp_path / str(number), Model(repo, put_base(twin, bases["causal"], repo)))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in twin.environment(cache).items():
                patch.setenv(name, value)
            assert work(run.path)
    used_last(cache, "local/old", days_ago=3)
    used_last(cache, "local/older", days_ago=5)
    each_gb = sum(path.stat().st_size for path in repo_in(cache, BASE).glob("blobs/*")) / 1e9
    assert make_room(cache, 0, BASE) == []
    assert make_room(cache, each_gb * 2.5, BASE) == ["local/older"]
    assert not repo_in(cache, "local/older").exists()
    used_last(cache, BASE, days_ago=9)
    assert make_room(cache, each_gb / 10, BASE) == ["local/old"]
    assert make_room(cache, each_gb / 10, "local/other") == [BASE]


def test_a_model_that_was_used_today_stays_in_a_full_cache(twin: Twin, bases: dict[str, Path], tmp_path: Path) -> None:
    run = make(tmp_path, Model(BASE, put_base(twin, bases["causal"])))
    assert fetch(run, twin)
    assert make_room(tmp_path / "home", 1e-9, "local/other") == []
    assert repo_in(tmp_path / "home", BASE).exists()


def repo_in(cache: Path, repo: str) -> Path:
    return cache / "hub" / f"models--{repo.replace('/', '--')}"


def used_last(cache: Path, repo: str, days_ago: float) -> None:
    at = time.time() - days_ago * 86400
    for path in repo_in(cache, repo).glob("blobs/*"):
        os.utime(path, (at, at))


def test_a_fetch_brings_model_and_rows_and_tells_the_bytes(twin: Twin, bases: dict[str, Path], tmp_path: Path) -> None:
    sha = put_base(twin, bases["causal"])
    run = make(tmp_path, Model(BASE, sha))
    done = engine("fetch", str(run.path), environment=twin.environment(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    events = events_of(run, "fetch-1")
    assert (events[0].kind, events[-1].kind) == ("started", "finished")
    assert events[-1].data["revision"] == sha and events[-1].data["licence"] == {"license": "apache-2.0"}
    told = [event.data for event in events if event.data.get("phase") == "fetching"]
    assert told[-1]["done_bytes"] == told[-1]["total_bytes"] > (bases["causal"] / "model.safetensors").stat().st_size
    assert run.model.is_symlink()
    assert (run.model / "model.safetensors").read_bytes() == (bases["causal"] / "model.safetensors").read_bytes()
    with pa.OSFile(str(run.rows("train"))) as file:
        assert pa.ipc.open_stream(file).read_all().num_rows == len(ROWS)
    assert twin.token not in (run.attempts / "fetch-1/events.jsonl").read_text()


def test_only_what_training_reads_is_taken(twin: Twin, folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "modeling.py", "consolidated.safetensors", "training_args.bin"):
        (folder / name).write_bytes(b"x")
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.safetensors").write_bytes(b"x")
    run = make(tmp_path, Model(BASE, put_base(twin, folder)))
    assert fetch(run, twin)
    assert {path.name for path in run.model.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    }


def test_the_pinned_commit_is_taken_though_the_repo_went_on(
    twin: Twin, api: HfApi, folder: Path, tmp_path: Path
) -> None:
    sha = put_base(twin, folder)
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=BASE)
    run = make(tmp_path, Model(BASE, sha))
    assert fetch(run, twin)
    assert json.loads((run.model / "config.json").read_text())["model_type"] == "llama"


def test_a_model_that_lies_there_is_used_as_it_is(twin: Twin, bases: dict[str, Path], tmp_path: Path) -> None:
    run = make(tmp_path, Model("my-own-model"))
    run.model.symlink_to(bases["causal"])
    assert fetch(run, twin)
    assert not twin.seen
    assert run.model.resolve() == bases["causal"].resolve()


def test_what_was_fetched_once_is_enough_when_the_hub_is_away(
    twin: Twin, bases: dict[str, Path], tmp_path: Path
) -> None:
    model = Model(BASE, put_base(twin, bases["causal"]))
    assert fetch(make(tmp_path, model), twin)
    again = make(tmp_path / "again", model)
    shutil.copytree(tmp_path / "home", tmp_path / "again" / "home", symlinks=True)
    twin.fail("GET /", times=100)
    assert fetch(again, twin)
    assert (again.model / "model.safetensors").exists()


@pytest.mark.parametrize("pattern", [f"/api/models/{BASE}/revision", "model.safetensors$"])
def test_passing_trouble_of_the_hub_is_waited_out(
    twin: Twin, bases: dict[str, Path], tmp_path: Path, pattern: str
) -> None:
    run = make(tmp_path, Model(BASE, put_base(twin, bases["causal"])))
    twin.fail(f"(GET|HEAD) .*{pattern}", 503)
    assert fetch(run, twin)


def test_lasting_trouble_of_the_hub_is_told_in_words(twin: Twin, bases: dict[str, Path], tmp_path: Path) -> None:
    run = make(tmp_path, Model(BASE, put_base(twin, bases["causal"])))
    twin.fail(f"GET /api/models/{BASE}/revision", 503)
    assert not fetch(run, twin, patience_s=0)
    assert "status 503" in reason(run)


def test_a_gated_model_needs_a_token_that_was_let_in(
    twin: Twin, api: HfApi, bases: dict[str, Path], tmp_path: Path
) -> None:
    run = make(tmp_path, Model(BASE, put_base(twin, bases["causal"])))
    api.update_repo_settings(BASE, gated="auto")
    assert not fetch(run, twin, token="hf_bob")
    assert "is gated" in reason(run) and f"{twin.url}/{BASE}" in reason(run)
    assert not run.model.exists()
    assert fetch(run, twin)


def test_a_readers_token_of_its_own_fetches_what_the_writers_may_not(
    twin: Twin, api: HfApi, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make(tmp_path, Model(BASE, put_base(twin, bases["causal"])))
    api.update_repo_settings(BASE, gated="auto")
    monkeypatch.setenv("HF_READ_TOKEN", twin.token)
    assert fetch(run, twin, token="hf_bob")


@pytest.mark.parametrize("revision", ["0" * 40, ""])
def test_a_commit_that_is_not_there_is_told(twin: Twin, bases: dict[str, Path], tmp_path: Path, revision: str) -> None:
    put_base(twin, bases["causal"])
    run = make(tmp_path, Model(BASE, revision))
    assert not fetch(run, twin)
    assert "revision" in reason(run) or "which commit" in reason(run)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("config.json", {"attn_implementation": "org/kernel"}, "attention code"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../x.safetensors"}}, "no weight file"),
    ],
)
def test_a_model_that_would_reach_out_is_refused_after_it_came(
    twin: Twin, folder: Path, tmp_path: Path, name: str, values: dict[str, Any], words: str
) -> None:
    path = folder / name
    path.write_text(json.dumps({**(json.loads(path.read_text()) if path.exists() else {}), **values}))
    run = make(tmp_path, Model(BASE, put_base(twin, folder)))
    assert not fetch(run, twin)
    assert words in reason(run) and last(run, "fetch-1").data["code"] == "model"


def test_rows_that_cannot_be_read_fail_as_data(twin: Twin, bases: dict[str, Path], tmp_path: Path) -> None:
    run = make(tmp_path, Model("my-own-model"), rows=[])
    run.model.symlink_to(bases["causal"])
    assert not fetch(run, twin)
    assert last(run, "fetch-1").data["code"] == "data"


def test_a_folder_that_is_no_run_stays_untouched(tmp_path: Path, twin: Twin) -> None:
    for word in ("fetch", "push"):
        done = engine(word, str(tmp_path / "7"), environment=twin.environment(tmp_path))
        assert (done.returncode, done.stderr) == (1, f"{tmp_path / '7'} is no run's folder: it has no spec.json.\n")
    assert not (tmp_path / "7").exists()


def test_a_spec_of_another_kind_ends_with_a_word(tmp_path: Path, twin: Twin) -> None:
    run = RunFolder(tmp_path / "7")
    run.path.mkdir()
    run.spec_file.write_text("{}")
    assert not fetch(run, twin)
    assert last(run, "fetch-1").data["code"] == "crash"
