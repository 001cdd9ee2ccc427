"""Each failure of a run, made to happen: the exact sentence that a person reads, and the button that mends it."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bot.chat import Message, Person
from bot.wording import run as words
from engine import life
from engine.events import Event, read_events
from engine.executor import Phase
from engine.folder import ATTEMPT_VARIABLE, REJECTED, RunFolder
from engine.hub.client import connect
from engine.hub.download.fetch import fetch
from engine.jobs import Model, Progress, Run, Status, Target, Value
from engine.plan.mending import mended
from engine.work.placing import carry_over
from engine.work.train import train
from engine.work.training.loop import Watch
from engine.work.training.resume import is_killed
from tests.engine.hub.conftest import BASE, bases, put_base, twin
from tests.engine.methods.conftest import TEXTS, rows_for
from tests.engine.work.conftest import house
from tests.engine.work.house import House
from tests.mini import Row, make_causal, make_run
from tests.twins.hub import Twin

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions

__all__ = ["bases", "house", "twin"]
ANN = Person("U1", "ann")
SHA = "0" * 16
FAST: dict[str, Value] = {
    "max_steps": 8, "save_steps": 2, "batch_size": 4, "gradient_accumulation": 1, "learning_rate": 2e-3,
    "max_length": 128,
}  # fmt: skip
Break = Callable[[pytest.MonkeyPatch, RunFolder], None]


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("causal"), TEXTS)


def begin(folder: Path, model: Path, method: str = "sft") -> tuple[RunFolder, Run]:
    place = make_run(folder / "7", method, model, rows_for(method), (), **FAST)
    return place, Run("7", place.read_spec(), Status.running, done="fetch", attempt="fetch-1", started_at=1.0)


def attempt(place: RunFolder, run: Run, code: int = 1) -> Run:
    """The run after one more attempt of its training, which really runs."""
    number = place.last_number("train") + 1
    run = life.begin(run, f"train-{number}", 2.0)
    is_good = train(place.path)
    return heard(place, run, 0 if is_good else code)


def heard(place: RunFolder, run: Run, code: int) -> Run:
    """The run after what its attempt reported and how its process ended."""
    for event in read_events(place.attempts / run.attempt / "events.jsonl"):
        run = life.apply(run, event, 3.0)
    return life.ended(run, Phase("exited", code), 4.0)


def at_step(step: int, act: Callable[[], None]) -> Break:
    """`act` at the end of that step, of every attempt."""
    real = Watch.on_step_end

    def on_step_end(self: Watch, args: Any, state: Any, control: Any, **rest: Any) -> None:
        real(self, args, state, control, **rest)
        if state.global_step == step:
            act()

    return lambda patch, _: patch.setattr(Watch, "on_step_end", on_step_end)


def loss_is_none_at(step: int) -> Break:
    real = Watch.on_log

    def on_log(self: Watch, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        is_broken = state.global_step == step and "loss" in logs
        real(self, args, state, control, {**logs, "loss": float("nan")} if is_broken else logs, **rest)

    return lambda patch, _: patch.setattr(Watch, "on_log", on_log)


loss_is_none = loss_is_none_at(5)


def run_out() -> None:
    raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def fill_up() -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def lose_rows(_: pytest.MonkeyPatch, place: RunFolder) -> None:
    place.rows("train").unlink()


def lose_model(_: pytest.MonkeyPatch, place: RunFolder) -> None:
    place.model.unlink()


@dataclass(frozen=True)
class Case:
    """`tries` attempts of a training of `method` that `breaks`; what the closing message says, and its buttons."""

    name: str
    breaks: Break
    says: str
    buttons: dict[str, str]
    trouble: str
    tries: int = 1
    method: str = "sft"


ROWS = {"Show the rows": "rows:7", "Plan it anew": f"plan:{SHA}:sft"}
CASES = (
    Case(
        "nan",
        loss_is_none,
        "The loss is no longer a number (step 5), so the training was ended. Half the learning_rate usually helps; "
        "if not, look for rows that are empty or garbled.",
        {"Start with learning_rate 0.001, from step 4": "mend:7:rate", "Show that step's rows": "rows:7"},
        "nan",
    ),
    Case(
        "memory",
        at_step(3, run_out),
        "The memory was not enough for this batch. Try half the batch_size with twice the gradient_accumulation, "
        "a shorter max_length, or a smaller model.",
        {"Start with batches of 1 × 4, from step 2": "mend:7:half"},
        "memory",
        tries=2,
    ),
    Case(
        "disk",
        at_step(3, fill_up),
        "The disk is full: free some space, then start the run again.",
        {"Go on from step 2": "mend:7:resume"},
        "disk",
    ),
    Case(
        "data",
        lose_rows,
        "The rows are missing: there is no train.arrow in the run's folder. Start it again.",
        ROWS,
        "data",
    ),
    Case(
        "missing",
        lose_model,
        "The base model is not in the run's folder: fetch it again.",
        {"Plan it with the usual model": f"plan:{SHA}:sft"},
        "model",
    ),
    Case(
        "wrong",
        lambda *_: None,
        "tests/mini has no mask token: mlm needs an encoder such as BERT, or use clm with it.",
        {"Plan it with the usual model": f"plan:{SHA}:mlm"},
        "model",
        method="mlm",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_failure_is_one_sentence_and_the_button_that_mends_it(
    case: Case, causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, run = begin(tmp_path, causal, case.method)
    case.breaks(monkeypatch, place)
    for _ in range(case.tries):
        run = attempt(place, run)
    assert (run.status, run.trouble) == (Status.failed, case.trouble)
    card = words.final(run, ANN, None)
    assert card.text == f"{words.subject(run)}\n{case.says}"
    assert buttons(card) == case.buttons


def buttons(card: Message) -> dict[str, str]:
    return {button.label: button.action for button in card.buttons}


def test_the_rows_of_a_step_whose_loss_is_no_number_are_listed(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches a step, and a loader that is a batch ahead: the rows are those of step 3, no others."""
    place = make_run(tmp_path / "7", "sft", causal, rows_for("sft"), (), **{**FAST, "batch_size": 2})
    place.write_spec(replace(place.read_spec(), parameters={**FAST, "batch_size": 2, "gradient_accumulation": 2}))
    learned: list[set[int]] = []
    real = Watch.note_rows

    def note_rows(self: Watch, *, is_last: bool) -> None:
        learned.append(self.collator.batches[0])
        real(self, is_last=is_last)

    monkeypatch.setattr(Watch, "note_rows", note_rows)
    loss_is_none_at(3)(monkeypatch, place)
    assert not train(place.path)
    rows = [json.loads(line) for line in (place.attempts / "train-1" / REJECTED).read_text().splitlines()]
    assert len(learned) == 6
    assert {row["row"] for row in rows} == learned[4] | learned[5] and len(rows) == 4
    assert rows[0]["why"] == "it was learned in step 3, whose loss is no number"
    assert rows[0]["messages"]


@pytest.mark.parametrize("method", ["sft", "clm"])
def test_rows_of_which_nothing_is_learned_are_listed(method: str, causal: Path, tmp_path: Path) -> None:
    """Every answer lies behind max_length, or there is no text at all."""
    long: Row = {"messages": [{"role": "user", "content": "hello " * 400}, {"role": "assistant", "content": "nice"}]}
    rows: list[Row] = [long] * 3 if method == "sft" else [{"text": ""}] * 3
    place = make_run(tmp_path / "7", method, causal, rows, (), **FAST)
    run = attempt(place, Run("7", place.read_spec(), Status.running, done="fetch", attempt="fetch-1", started_at=1.0))
    assert (run.status, run.trouble) == (Status.failed, "data")
    assert "No row has anything to learn" in run.reason
    listed = (place.attempts / "train-1" / REJECTED).read_text().splitlines()
    assert [json.loads(line)["row"] for line in listed] == [1, 2, 3]
    assert "nothing of it is left to learn within max_length=128" in listed[0]


def test_memory_that_runs_out_once_is_mended_by_itself(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, run = begin(tmp_path, causal)
    with monkeypatch.context() as patch:
        at_step(3, run_out)(patch, place)
        run = attempt(place, run)
    assert run.status is Status.running and run.again
    run = attempt(place, run)
    assert run.status is Status.succeeded
    assert "Out of memory at step 2." in run.progress.notices or "Out of memory at step 3." in run.progress.notices
    assert "The memory was not enough, so this try takes batch_size=2 gradient_accumulation=2." in run.progress.notices


def test_the_run_that_mends_a_nan_goes_on_at_half_the_rate(
    causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, run = begin(tmp_path, causal)
    with monkeypatch.context() as patch:
        loss_is_none(patch, place)
        run = attempt(place, run)
    new = mended(run, "rate")
    assert new is not None and new.resumes
    other = make_run(tmp_path / "8", "sft", causal, rows_for("sft"), (), **new.spec.parameters)
    carry_over(place, other, new)
    done = attempt(other, replace(new, id="8", status=Status.running, done="fetch", attempt="fetch-1"))
    assert done.status is Status.succeeded
    before = {event.data["step"]: event.data["learning_rate"] for event in steps(place, "train-1")}
    after = {event.data["step"]: event.data["learning_rate"] for event in steps(other, "train-1")}
    assert list(after) == [5, 6, 7, 8]
    per_step = 2e-3 / (8 - 1)  # linear, after one step of warm-up
    assert before[4] == pytest.approx(2e-3 - 2 * per_step, rel=0.2)
    assert after[6] == pytest.approx((before[4] - 2 * per_step) / 2, rel=0.1)


def steps(place: RunFolder, name: str) -> list[Event]:
    return [event for event in read_events(place.attempts / name / "events.jsonl") if event.kind == "step"]


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written_costs_that_checkpoint_only(causal: Path, tmp_path: Path) -> None:
    place, run = begin(tmp_path, causal)
    run = life.begin(run, "train-1", 2.0)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        ATTEMPT_VARIABLE: "7/train-1",
        "FAULT": f"kill@train.unmarked:2:{tmp_path / 'reached'}",
    }
    command = [sys.executable, "-m", "engine", "train", str(place.path)]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False
    )
    assert done.returncode == -9
    run = heard(place, run, done.returncode)
    assert run.again == (
        "The training was killed by the system, most often out of memory: try a smaller batch_size or max_length."
    )
    run = attempt(place, run)
    assert run.status is Status.succeeded
    assert run.progress.notices[:2] == (
        "The checkpoint of step 4 was not whole: the one of step 2 is taken.",
        "Restarted from step 2, try 2 of 3.",
    )


def test_a_damaged_checkpoint_is_passed_over(causal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, run = begin(tmp_path, causal)
    with monkeypatch.context() as patch:
        at_step(5, fill_up)(patch, place)
        run = attempt(place, run)
    weights = place.checkpoints / "checkpoint-4" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    run = attempt(place, replace(run, status=Status.running))
    assert run.status is Status.succeeded
    assert "The checkpoint of step 4 was not whole: the one of step 2 is taken." in run.progress.notices


def test_three_kills_end_it_with_less_to_hold() -> None:
    run = under_way(progress=Progress(step=30, steps=60, saved_step=20))
    for number in (1, 2, 3):
        run = life.ended(life.begin(run, f"train-{number}", 1.0), Phase("exited", -9), 2.0)
        run = replace(run, progress=replace(run.progress, saved_step=20))
    card = words.final(run, ANN, None)
    assert card.text.endswith(
        "The training was killed by the system, most often out of memory: try a smaller batch_size or max_length. "
        "That was try 3; there are 3."
    )
    assert buttons(card) == {"Start with batches of 1 × 4, from step 20": "mend:7:half"}


def test_a_kill_by_the_system_costs_half_the_batch_once_and_is_said(causal: Path, tmp_path: Path) -> None:
    """The kernel ends a process that takes too much memory with SIGKILL, and the process cannot say so."""
    place, run = begin(tmp_path, causal)
    run = life.begin(run, "train-1", 2.0)
    (place.attempts / "train-1").mkdir(parents=True)
    (place.attempts / "train-1" / "exit.json").write_text('{"code": -9, "at": 1.0, "was_stopped": false}')
    run = life.ended(run, Phase("exited", -9), 3.0)
    assert run.has_less_memory and run.again
    run = attempt(place, run)
    assert run.status is Status.succeeded
    said = "A try was killed, most often for want of memory, so this try takes batch_size=2 gradient_accumulation=2."
    assert said in run.progress.notices


def test_a_kill_that_we_sent_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "exit.json").write_text('{"code": -9, "at": 1.0, "was_stopped": true}')
    assert not is_killed(tmp_path)
    assert not is_killed(tmp_path / "nothing")


def under_way(**changes: Any) -> Run:
    from engine.jobs import JobSpec, Model, Source

    spec = JobSpec("sft", Model("a/b"), Source("x.csv", "0" * 64, {}), parameters={**FAST, "lora": True})
    return replace(Run("7", spec, Status.running, "train-1", done="fetch", started_at=1.0), **changes)


@pytest.mark.parametrize(
    ("saved", "says", "offers"),
    [
        (20, "The training took no step for 10 minutes, so it was stopped.", {"Go on from step 20": "mend:1:resume"}),
        (0, "The training took no step for 10 minutes, so it was stopped.", {"Start it again": "mend:1:retry"}),
    ],
    ids=["with a checkpoint", "without"],
)
async def test_a_hang_is_ended_and_offers_to_go_on(house: House, saved: int, says: str, offers: dict[str, str]) -> None:
    """The scheduler sees ten minutes pass by its clock, and no step."""
    await house.until_training()
    child = house.child("train-1")
    child.say("phase", phase="training")
    child.say("step", step=30, steps=60, loss=1.0)
    if saved:
        child.say("checkpoint", step=saved)
    assert (await house.tick()).status is Status.running
    house.now += 601
    run = await house.tick()
    card = words.final(run, ANN, None)
    assert card.text == f"{words.subject(run)}\n{says}"
    assert buttons(card) == offers


def test_on_a_gpu_memory_is_mended_by_fewer_bits_too() -> None:
    run = under_way(progress=Progress(has_gpu=True), has_less_memory=True)
    run = life.failed(run, "The memory was not enough for this batch.", 2.0, "memory")
    assert list(buttons(words.final(run, ANN, None)).values()) == ["mend:7:half", "mend:7:int4"]
    new = mended(run, "int4")
    assert new is not None and new.spec.parameters["quantization"] == "int4" and not new.resumes


GATED, ACCEPT = "and the token's owner has no access yet", "accept the terms there, and try again."
MISSING = "There is no model local/nothing on the local Hub, or it is private and our token cannot see it."


def fetched(place: RunFolder, twin: Twin, token: str, patch: pytest.MonkeyPatch) -> Run:
    """The run after a fetch from that Hub, which really asks it."""
    patch.setenv("HF_ENDPOINT", twin.url)
    patch.setenv("HF_PUBLIC_ENDPOINT", "")
    patch.setenv("HF_TOKEN", token)
    run = life.begin(Run("7", place.read_spec(), Status.queued), "fetch-1", 1.0)
    assert not fetch(place.path, cache=place.path.parent / "cache", patience_s=0)
    return heard(place, run, 1)


@pytest.mark.parametrize("is_there", [True, False], ids=["gated", "missing"])
def test_a_base_model_that_cannot_be_had_says_why_and_offers_another(
    is_there: bool, twin: Twin, bases: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = RunFolder(tmp_path / "7")
    sha = put_base(twin, bases["causal"])
    place.write_spec(under_way().spec)
    place.write_spec(replace(place.read_spec(), model=Model(BASE if is_there else "local/nothing", sha)))
    if is_there:
        connect(twin.token, twin.url).update_repo_settings(BASE, gated="auto")
    run = fetched(place, twin, "hf_bob" if is_there else twin.token, monkeypatch)
    card = words.final(run, ANN, None)
    says = MISSING if not is_there else f"{BASE} is gated, {GATED}: open {twin.url}/{BASE}, {ACCEPT}"
    assert card.text == f"{words.subject(run)}\n{says}"
    assert buttons(card) == {"Plan it with the usual model": f"plan:{SHA}:sft"}


@pytest.mark.parametrize(
    ("changes", "says", "actions"),
    [
        ({"status": Status.queued, "attempt": "", "done": ""}, "Cancelled before it started.", []),
        ({"attempt": "fetch-1", "done": "", "progress": Progress(phase="fetching")}, "Cancelled.", []),
        ({"progress": Progress(phase="loading")}, "Cancelled.", []),
        (
            {"progress": Progress(phase="training", step=12, steps=60, saved_step=10)},
            "Cancelled at step 12 of 60.",
            ["resume:7"],
        ),
        (
            {"status": Status.pushing, "attempt": "push-1", "done": "train", "progress": Progress(step=60, steps=60)},
            "Cancelled at step 60 of 60. The trained model is kept here.",
            [],
        ),
    ],
    ids=["queued", "fetching", "loading", "training", "pushing"],
)
def test_a_cancel_in_each_phase_says_what_is_left(changes: dict[str, Any], says: str, actions: list[str]) -> None:
    run = life.cancelled(under_way(cancel="drop", **changes), 9.0)
    card = words.final(run, ANN, None)
    assert card.text.splitlines()[-1] == says
    assert [button.action for button in card.buttons] == actions


def test_a_trained_model_that_could_not_be_pushed_is_not_trained_again() -> None:
    run = under_way(done="train", attempt="push-3")
    run = life.failed(replace(run, spec=replace(run.spec, target=Target("a/c"))), "The Hub said no.", 2.0, "hub")
    assert buttons(words.final(run, ANN, None)) == {"Push again": "push:7"}
