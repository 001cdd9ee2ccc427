"""A disk that the run would fill is seen before anything is loaded."""

from collections import namedtuple
from pathlib import Path

import pytest

from engine.events import read_events
from engine.work.train import train
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.mini import make_causal, make_run

Usage = namedtuple("Usage", "total used free")


def test_a_disk_without_room_ends_a_training_before_it_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, 10**6))
    run = make_run(tmp_path / "7", "sft", make_causal(tmp_path / "model", TEXTS), rows_for("sft"), (), max_steps=1)
    assert not train(run.path)
    last = read_events(run.attempts / "train-1" / "events.jsonl")[-1].data
    assert last["code"] == "disk"
    assert last["reason"] == (
        "The training writes about 0.1 GB, and 0.0 GB are free where it runs: free some space, then start the run "
        "again."
    )
