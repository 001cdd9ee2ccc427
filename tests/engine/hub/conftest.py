"""A local Hub with a tiny base model, and trainings of it that really ran, once for all tests of this folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from engine.events import Event, read_events
from engine.folder import RunFolder
from engine.hub.client import connect
from engine.jobs import Model, Target, Value
from engine.work.train import train
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_masked, make_run
from tests.twins.hub import Twin, hub_twin

BASE = "local/base"
KINDS: Mapping[str, tuple[str, Mapping[str, Value]]] = {
    "sft": ("sft", {}),
    "merged": ("sft", {"merge": True}),
    "reward": ("reward", {}),
    "mlm": ("mlm", {}),
    "mlm-lora": ("mlm", {"lora": True}),
    "clm-full": ("clm", {"lora": False}),
}
Trained = Callable[[str], RunFolder]


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {"causal": make_causal(folder / "causal", TEXTS), "masked": make_masked(folder / "masked", TEXTS)}


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    data = tmp_path / "hub"
    data.mkdir()
    people = {"hf_reader": {"name": "local", "role": "read"}, "hf_bob": {"name": "bob", "role": "write"}}
    (data / "people.json").write_text(json.dumps(people))
    with hub_twin(data) as found:
        yield found


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, bases: dict[str, Path]) -> Trained:
    """A run's folder after a training of that kind; made at the first call, never changed by a test."""
    place, made = tmp_path_factory.mktemp("trained"), dict[str, RunFolder]()

    def get(kind: str) -> RunFolder:
        if kind not in made:
            method, parameters = KINDS[kind]
            base = bases["masked" if method == "mlm" else "causal"]
            rows = rows_for(method)
            run = make_run(place / kind, method, base, rows, rows[:2], epochs=1, **parameters)
            assert train(run.path), read_events(run.attempts / "train-1/events.jsonl")[-1]
            made[kind] = run
        return made[kind]

    return get


def put_base(twin: Twin, folder: Path, repo: str = BASE, card: str = "---\nlicense: apache-2.0\n---\n") -> str:
    """Put a base model on the Hub, readable by everybody; its commit."""
    api = connect(twin.token, twin.url)
    api.create_repo(repo, private=False)
    sha = api.upload_folder(repo_id=repo, folder_path=folder).oid
    return api.upload_file(path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repo).oid or sha


def run_to_push(source: RunFolder, target: Path, model: Model, repo: str = "local/mine") -> RunFolder:
    """A copy of a trained run that wants to go to `repo`."""
    shutil.copytree(source.path, target, symlinks=True)
    run = RunFolder(target)
    run.write_spec(replace(source.read_spec(), model=model, target=Target(repo)))
    return run


def engine(*words: str, environment: Mapping[str, str], timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """A command of the engine as the bot starts it: its own process, nothing inherited that matters."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "VIRTUAL_ENV") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "engine", *words],
        env={**kept, "OMP_NUM_THREADS": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def events_of(run: RunFolder, attempt: str) -> list[Event]:
    return read_events(run.attempts / attempt / "events.jsonl")


def last(run: RunFolder, attempt: str) -> Event:
    return events_of(run, attempt)[-1]
