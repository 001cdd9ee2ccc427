"""Runs go on by ticks, whatever happens in between. The executors are the fake; the database is real."""

from dataclasses import replace
from pathlib import Path

import pytest

from engine import store
from engine.events import EventLog
from engine.executor import Phase
from engine.folder import RunFolder
from engine.jobs import Attempt, Model, Run, Source, Status, Target
from engine.work.training.checkpoints import last_good, mark_complete
from tests.engine.work.house import SPEC, House
from tests.fakes.executor import FakeExecutor


async def test_a_run_goes_through_its_whole_life(house: House) -> None:
    await house.queue()
    run = await house.tick()
    assert (run.status, run.attempt) == (Status.running, "fetch-1")
    run = await house.finish("fetch-1")
    assert (run.status, run.attempt) == (Status.running, "train-1")
    house.child("train-1").say("step", step=5, steps=60, loss=1.5)
    assert (await house.tick()).progress.step == 5
    run = await house.finish("train-1", metrics={"eval_loss": 0.5})
    assert (run.status, run.attempt) == (Status.pushing, "push-1")
    run = await house.finish("push-1", repo="team/name", revision="abc")
    assert (run.status, run.result.repo, run.result.metrics) == (Status.succeeded, "team/name", {"eval_loss": 0.5})
    assert house.trainer.submits == ["1/train-1"]
    assert house.ours.submits == ["1/fetch-1", "1/push-1"]
    assert [tried.name for tried in await house.database.read(store.attempts, "1")] == ["fetch-1", "train-1", "push-1"]
    assert await house.database.read(store.open_attempts) == []


async def test_a_run_without_a_target_ends_when_it_is_trained(house: House) -> None:
    await house.queue(replace(SPEC, target=Target()))
    await house.tick()
    await house.finish("fetch-1")
    run = await house.finish("train-1")
    assert run.status is Status.succeeded
    assert house.ours.submits == ["1/fetch-1"]


async def test_the_run_folder_holds_the_spec_the_rows_and_the_model(house: House, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    spec = replace(SPEC, model=Model("mine", folder=str(tmp_path / "model")), valid=SPEC.train)
    await house.queue(spec)
    await house.tick()
    folder = RunFolder(tmp_path / "runs" / "1")
    assert folder.read_spec() == replace(spec, model=Model("mine"))
    assert folder.source("train").read_text() == folder.source("valid").read_text() == "rows"
    assert folder.model.resolve() == tmp_path / "model"


async def test_a_folder_that_another_database_left_is_moved_aside(house: House, tmp_path: Path) -> None:
    old = tmp_path / "runs" / "1" / "attempts" / "fetch-1"
    old.mkdir(parents=True)
    (old / "exit.json").write_text("{}")
    await house.queue()
    await house.tick()
    assert not (tmp_path / "runs" / "1" / "attempts" / "fetch-1" / "exit.json").exists()
    assert len(list((tmp_path / "runs").glob("1.old-*/attempts/fetch-1/exit.json"))) == 1


async def test_a_beginning_that_was_cut_off_is_cleared_away(house: House, tmp_path: Path) -> None:
    (tmp_path / "runs" / ".1-123" / "data").mkdir(parents=True)
    await house.scheduler.start()
    await house.scheduler.stop()
    assert list((tmp_path / "runs").iterdir()) == []


async def test_rows_that_are_gone_fail_the_run_and_say_what_to_do(house: House) -> None:
    await house.queue(replace(SPEC, train=Source("lost.csv", "b" * 64, {})))
    run = await house.tick()
    assert (run.status, run.reason) == (
        Status.failed,
        "The rows of lost.csv are no longer here: attach the file again.",
    )


async def test_runs_wait_for_a_slot_in_their_order(house: House) -> None:
    for _ in range(3):
        await house.queue()
    await house.tick(3)
    assert [run.status.value for run in await house.database.read(store.open_runs)] == ["running", "queued", "queued"]
    assert await house.database.read(store.position, "2") == 1
    await house.finish("fetch-1")
    await house.finish("train-1")
    await house.tick()
    assert [run.status.value for run in await house.database.read(store.open_runs)] == ["pushing", "running", "queued"]


async def test_two_slots_train_two_runs(tmp_path: Path, house: House) -> None:
    house.slots = 2
    house.trainer = FakeExecutor("trainer", 2)
    house.restart()
    for _ in range(3):
        await house.queue()
    await house.tick()
    await house.finish("fetch-1", "1")
    await house.finish("fetch-1", "2")
    await house.tick(3)
    assert house.trainer.submits == ["1/train-1", "2/train-1"]
    assert (await house.run("3")).status is Status.queued


async def test_a_slot_is_free_only_when_the_last_child_is_gone(house: House) -> None:
    await house.queue(replace(SPEC, target=Target()))
    await house.queue()
    await house.tick()
    await house.finish("fetch-1")
    house.child("train-1").say("finished")
    await house.tick(3)
    assert (await house.run("1")).status is Status.succeeded
    await house.tick(3)
    await house.finish("fetch-1", "2")
    assert house.trainer.submits == ["1/train-1"]
    house.child("train-1").end()
    await house.tick(2)
    assert house.trainer.submits == ["1/train-1", "2/train-1"]


async def test_a_child_that_lingers_after_its_last_word_is_stopped(house: House) -> None:
    await house.until_training()
    house.child("train-1").say("failed", reason="No.", code="crash")
    await house.tick()
    assert house.child("train-1").wishes == []
    house.now += 61
    await house.tick(3)
    assert house.child("train-1").wishes == ["drop"]


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (
            Phase("exited", -9),
            "The training was killed by the system, most often out of memory: try a smaller batch_size or max_length.",
        ),
        (Phase("lost", None, "its process was killed"), "The training was lost: its process was killed."),
        (Phase("exited", 0), "The training stopped without saying that it was done."),
    ],
)
async def test_a_training_that_dies_each_time_fails_with_its_reason_and_the_next_run_starts(
    house: House, phase: Phase, reason: str
) -> None:
    await house.until_training()
    await house.queue()
    for number in (1, 2):
        house.child(f"train-{number}").phase = phase
        run = await house.tick(2)
        assert (run.status, run.attempt) == (Status.running, f"train-{number + 1}")
    house.child("train-3").phase = phase
    run = await house.tick()
    assert (run.status, run.reason) == (Status.failed, f"{reason} That was try 3; there are 3.")
    await house.tick()
    assert house.ours.submits == ["1/fetch-1", "2/fetch-1"]


async def test_a_training_that_dies_once_is_started_again_and_succeeds(house: House) -> None:
    await house.until_training()
    house.child("train-1").lose()
    assert (await house.tick(2)).attempt == "train-2"
    assert (await house.finish("train-2")).attempt == "push-1"
    assert (await house.finish("push-1", repo="team/name")).status is Status.succeeded
    assert house.trainer.submits == ["1/train-1", "1/train-2"]


async def test_a_refused_push_waits_and_is_given_up_after_its_days(house: House) -> None:
    await house.until_training()
    await house.finish("train-1")
    house.child("push-1").say("failed", reason="The Hub refused the token.", code="hub")
    house.child("push-1").end(1)
    run = await house.tick(3)
    assert (run.status, len(house.ours.submits)) == (Status.trained, 2)
    house.now += 7 * 86400
    assert (await house.tick()).status is Status.failed


async def test_an_outage_of_two_hours_is_sat_out_without_a_slot_and_pushed_in_the_end(house: House) -> None:
    await house.until_training()
    await house.finish("train-1")
    began, number = house.now, 1
    while house.now < began + 2 * 3600:
        house.child(f"push-{number}").say("failed", reason="The Hub could not be reached.", code="away")
        house.child(f"push-{number}").end(1)
        run = await house.tick(2)
        assert (run.status, run.held_at) == (Status.trained, 0.0)
        assert await house.database.read(store.open_attempts) == []
        house.now, number = run.due_at, number + 1
        assert (await house.tick()).status is Status.pushing
    run = await house.finish(f"push-{number}", repo="team/name")
    assert (run.status, run.result.repo) == (Status.succeeded, "team/name")
    assert 4 <= number <= 10 and run.progress.notices == ()


async def test_somebody_may_push_at_once_while_the_hub_is_waited_for(house: House) -> None:
    await house.until_training()
    await house.finish("train-1")
    house.child("push-1").say("failed", reason="The Hub could not be reached.", code="away")
    house.child("push-1").end(1)
    assert (await house.tick(2)).status is Status.trained
    await house.database.write(store.wake, "1")
    assert (await house.tick()).attempt == "push-2"


async def test_the_last_words_of_a_child_that_died_are_heard(house: House) -> None:
    await house.until_training()
    house.child("train-1").say("failed", reason="The loss became NaN at step 3.", code="nan")
    house.child("train-1").end(1)
    run = await house.tick()
    assert run.reason == "The loss became NaN at step 3."


async def test_an_executor_that_cannot_tell_fails_nothing(house: House) -> None:
    await house.until_training()
    house.child("train-1").phase = Phase("unknown")
    assert (await house.tick(5)).status is Status.running
    house.child("train-1").phase = Phase("running")
    assert (await house.finish("train-1")).status is Status.pushing


async def test_a_queued_run_is_cancelled_at_once_and_starts_nothing(house: House) -> None:
    await house.queue()
    await house.cancel()
    run = await house.tick(2)
    assert (run.status, run.reason) == (Status.cancelled, "Cancelled before it started.")
    assert house.ours.submits == []


async def test_a_running_run_is_asked_once_and_ends_when_the_child_has_ended(house: House) -> None:
    await house.until_training()
    await house.cancel(save=True)
    assert (await house.tick(3)).status is Status.running
    assert house.child("train-1").wishes == ["save"]
    house.child("train-1").say("stopped", step=5, steps=60)
    house.child("train-1").end()
    run = await house.tick()
    assert run.status is Status.cancelled
    assert run.reason.startswith("Cancelled at step 5 of 60.")
    await house.tick(3)
    assert await house.database.read(store.open_attempts) == []


async def test_who_asks_to_drop_after_all_is_passed_on(house: House) -> None:
    await house.until_training()
    await house.cancel(save=True)
    await house.tick()
    await house.cancel(save=False)
    await house.tick(2)
    assert house.child("train-1").wishes == ["save", "drop"]


async def test_cancelling_between_training_and_push_keeps_the_model_and_pushes_nothing(house: House) -> None:
    await house.until_training()
    house.child("train-1").say("finished")
    await house.tick()
    await house.cancel()
    house.child("train-1").end()
    run = await house.tick(2)
    assert (run.status, run.reason) == (Status.cancelled, "Cancelled. The trained model is kept here.")
    assert house.ours.submits == ["1/fetch-1"]


async def test_people_take_turns(house: House) -> None:
    for requester in ("ann", "ann", "ann", "bob"):
        await house.queue(replace(SPEC, requester=requester))
    await house.tick()
    await house.finish("fetch-1")
    await house.finish("train-1")
    await house.tick()
    assert house.ours.submits == ["1/fetch-1", "1/push-1", "4/fetch-1"]


async def test_a_resumed_run_begins_with_the_last_good_checkpoint_of_the_old_one(house: House, tmp_path: Path) -> None:
    old = tmp_path / "runs" / "7" / "checkpoints"
    for step in (4, 8):
        (old / f"checkpoint-{step}").mkdir(parents=True)
        (old / f"checkpoint-{step}" / "weights").write_text(str(step))
        mark_complete(old / f"checkpoint-{step}")
    (old / "checkpoint-8" / "weights").write_text("x")
    await house.database.write(store.add_run, Run("", SPEC, of="7", resumes=True))
    assert (await house.tick()).attempt == "fetch-1"
    assert last_good(tmp_path / "runs/1/checkpoints") == tmp_path / "runs/1/checkpoints/checkpoint-4"


async def test_a_run_that_only_pushes_begins_with_the_model_of_the_old_one(house: House, tmp_path: Path) -> None:
    old = Attempt("7", "train", 2, tmp_path / "runs" / "7").folder
    (old / "output").mkdir(parents=True)
    (old / "output" / "model").write_text("weights")
    EventLog(old, "7", "train-2").write("finished")
    await house.database.write(store.add_run, Run("", SPEC, of="7", done="train", status=Status.trained))
    assert (await house.tick()).attempt == "push-1"
    trained = RunFolder(tmp_path / "runs" / "1").finished("train")
    assert trained and (trained.folder / "output" / "model").read_text() == "weights"


async def test_what_is_no_longer_there_is_said(house: House) -> None:
    await house.database.write(store.add_run, Run("", SPEC, of="7", resumes=True))
    run = await house.tick()
    assert run.status is Status.failed
    assert run.reason == "What run 7 had made is no longer here. `/finetune retry 7` begins anew."


async def test_while_it_is_held_no_run_leaves_the_queue(house: House) -> None:
    """As long as the disk is nearly full."""
    await house.queue()
    house.scheduler.is_held = True
    assert (await house.tick()).status is Status.queued
    house.scheduler.is_held = False
    assert (await house.tick()).status is Status.running


async def test_a_clock_that_jumps_is_not_heard_of(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day ahead would end every training as one that hangs."""
    before = house.scheduler.now()
    monkeypatch.setattr("time.time", lambda: before + 86_400)
    assert before <= house.scheduler.now() < before + 3600
