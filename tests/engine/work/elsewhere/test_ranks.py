"""One training in two processes on this machine, and what is left of it when one of them is killed."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.executors.local import LocalExecutor
from engine.events import Event, read_events
from engine.executor import Handle, Slot
from engine.folder import RunFolder
from engine.jobs import Attempt, Value
from engine.plan.shares import shared
from engine.refusal import Refusal
from engine.work.elsewhere.ranks import launch
from engine.work.identity import environments, processes_of
from tests.contract.executor import ended, until
from tests.mini import Row, make_causal, make_run

WORDS = ("alpha", "beta", "gamma", "delta")
TEXTS = [f"human: what is {word}? bot: {word} is a word." for word in WORDS]
RUN_S = 400.0
CLOSE = 1e-4
"""Two processes add up the same numbers in another order."""


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


def run_for(folder: Path, model: Path, **parameters: Value) -> RunFolder:
    """Rows of one length, so that no sampler sorts them in another way for another batch."""
    rows: list[Row] = [{"text": TEXTS[number % 4]} for number in range(48)]
    settings: dict[str, Value] = {"batch_size": 4, "gradient_accumulation": 2, "epochs": 4, "save_steps": 3}
    return make_run(folder, "clm", model, rows, [], **{**settings, **parameters})


class Place:
    """The local executor on a folder of runs, with the real training."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.executor = LocalExecutor("local", root, sys.executable, {}, [Slot("cpu", 0, 8.0)])

    async def start(self, run: RunFolder, number: int = 1) -> Handle:
        attempt = Attempt(run.path.name, "train", number, run.path)
        handle = self.executor.handle_for(attempt)
        await self.executor.submit(attempt, handle)
        return handle

    def events(self, handle: Handle) -> list[Event]:
        return read_events(self.root / handle.id / "events.jsonl")

    def steps(self, handle: Handle) -> dict[int, float]:
        return {event.data["step"]: event.data["loss"] for event in self.events(handle) if event.kind == "step"}

    async def has_saved(self, handle: Handle) -> None:
        async def is_saved() -> bool:
            return any(event.kind == "checkpoint" for event in self.events(handle))

        await until(is_saved, RUN_S)

    def ranks(self, handle: Handle) -> dict[str, int]:
        """The pid of each rank."""
        of = set(processes_of(self.root / handle.id))
        return {values["RANK"]: pid for pid, values in environments() if pid in of and "RANK" in values}

    async def is_deserted(self, handle: Handle) -> None:
        async def nobody_is_left() -> bool:
            return processes_of(self.root / handle.id) == []

        await until(nobody_is_left)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "runs")
    yield made
    for runner in made.root.glob("*/attempts/*/runner.json"):
        for pid in processes_of(runner.parent):
            os.kill(pid, signal.SIGKILL)


def test_ranks_share_the_batch_that_was_agreed() -> None:
    assert shared(4, 2, 2) == (4, 1)
    assert shared(4, 1, 2) == (2, 1)
    assert shared(4, 3, 2) == (3, 2)
    assert shared(3, 4, 4) == (3, 1)
    with pytest.raises(Refusal, match="multiple of 2"):
        shared(3, 1, 2)


def test_gpus_are_launched_by_accelerate_and_large_models_in_shards() -> None:
    words = launch("python", 4, True, False, ["-m", "engine"])
    assert words[3:6] == ["accelerate.commands.launch", "--multi_gpu", "--num_processes=4"]
    assert "--use_fsdp" in launch("python", 4, True, True, ["-m", "engine"])
    assert "torch.distributed.run" in launch("python", 2, False, False, ["-m", "engine"])


@pytest.mark.slow
async def test_two_processes_learn_what_one_learns(place: Place, causal: Path) -> None:
    alone = await place.start(run_for(place.root / "1", causal))
    assert (await ended(place.executor, alone, RUN_S)).code == 0
    both = await place.start(run_for(place.root / "2", causal, gpus=2))
    assert (await ended(place.executor, both, RUN_S)).code == 0
    assert place.steps(both) == pytest.approx(place.steps(alone), abs=CLOSE)
    last, other = place.events(both)[-1], place.events(alone)[-1]
    assert (last.kind, last.data["rows"]) == ("finished", other.data["rows"])
    assert last.data["metrics"]["train_loss"] == pytest.approx(other.data["metrics"]["train_loss"], abs=CLOSE)
    assert (place.root / both.id / "output" / "adapter_model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["0", "1", "launcher", "runner"])
async def test_whoever_is_killed_no_rank_is_left_and_the_next_attempt_goes_on(
    place: Place, causal: Path, victim: str
) -> None:
    run = run_for(place.root / "1", causal, gpus=2, epochs=200)
    handle = await place.start(run)
    await place.has_saved(handle)
    found = place.ranks(handle)
    assert set(found) == {"0", "1"}
    folder = place.root / handle.id
    os.kill(found[victim] if victim in found else pid_of(folder, victim), signal.SIGKILL)
    await ended(place.executor, handle, RUN_S)
    await place.is_deserted(handle)
    assert not [event for event in place.events(handle) if event.kind in ("failed", "finished")]
    if victim == "1":
        await goes_on(place, run)


async def goes_on(place: Place, run: RunFolder) -> None:
    handle = await place.start(run, 2)
    await place.has_saved(handle)
    started = next(event for event in place.events(handle) if event.kind == "started")
    assert started.data["step"] >= 3
    await place.executor.cancel(handle, save=True)
    await ended(place.executor, handle, RUN_S)
    assert place.events(handle)[-1].kind == "stopped"


def pid_of(folder: Path, who: str) -> int:
    import json

    file = {"launcher": "heartbeat.json", "runner": "runner.json"}[who]
    return int(json.loads((folder / file).read_text())["pid"])
