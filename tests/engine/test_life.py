"""How a run lives."""

import itertools
import math
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import life
from engine.events import KINDS, Event
from engine.executor import Phase
from engine.jobs import JobSpec, Model, Result, Run, Source, Status, Target

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "a" * 64, {"text": "text"}), target=Target("team/name"))
QUEUED = Run("1", SPEC, queued_at=1.0)


def event(run: Run, kind: str, **data: Any) -> Event:
    return Event(run.id, run.attempt, run.cursor + 1, 5.0, kind, data)


def after(run: Run, *kinds: str, **data: Any) -> Run:
    for kind in kinds:
        run = life.apply(run, event(run, kind, **data), 9.0)
    return run


def fetching() -> Run:
    return life.begin(QUEUED, "fetch-1", 2.0)


def training(spec: JobSpec = SPEC) -> Run:
    return life.begin(replace(after(fetching(), "finished"), spec=spec), "train-1", 3.0)


def pushing() -> Run:
    return life.begin(after(training(), "finished"), "push-1", 4.0)


def test_a_run_fetches_trains_pushes_and_succeeds() -> None:
    run = QUEUED
    seen = []
    while step := life.next_step(run):
        run = life.begin(run, f"{step}-1", 2.0)
        seen.append((step, run.status.value, life.next_step(run)))
        run = after(run, "started", "finished")
    assert seen == [("fetch", "running", ""), ("train", "running", ""), ("push", "pushing", "")]
    assert (run.status, run.started_at, run.ended_at) == (Status.succeeded, 2.0, 9.0)


def test_a_first_push_after_a_training_is_no_restart() -> None:
    trained = after(after(training(), "step", step=60, steps=60, loss=1.0), "finished")
    started = after(life.begin(trained, "push-1", 9.0), "started")
    assert started.progress.notices == ()
    assert "try 2 of 3" in after(life.begin(trained, "push-2", 9.0), "started").progress.notices[0]


def test_a_push_that_somebody_woke_has_all_its_tries_again() -> None:
    trained = after(training(), "finished")
    held = life.ended(life.begin(trained, "push-3", 4.0), Phase("exited", 1), 5.0)
    assert held.held_at and "That was try 3; there are 3." in held.reason
    woken = after(life.begin(life.woken(held), "push-4", 6.0), "started")
    assert woken.progress.notices == ()
    died = life.ended(woken, Phase("exited", 1), 7.0)
    assert died.again and not died.held_at
    assert "try 2 of 3" in after(life.begin(died, "push-5", 8.0), "started").progress.notices[0]


def test_a_run_without_a_target_succeeds_when_it_is_trained() -> None:
    run = after(training(replace(SPEC, target=Target())), "finished", metrics={"eval_loss": 0.5})
    assert (run.status, run.result.metrics) == (Status.succeeded, {"eval_loss": 0.5})
    assert life.next_step(run) == ""


def test_the_push_adds_to_what_the_training_brought() -> None:
    trained = after(training(), "evaluated", accuracy=0.5, eval_loss=2.0)
    trained = after(
        trained, "finished", metrics={"eval_loss": 0.5}, train_s=7, answers=[{"prompt": "p", "base": "b", "tuned": "t"}]
    )
    assert trained.status is Status.trained
    done = after(life.begin(trained, "push-1", 4.0), "finished", repo="team/name", revision="abc", files={"a": "b"})
    assert done.result.metrics == {"accuracy": 0.5, "eval_loss": 0.5}
    assert (done.result.answers[0].tuned, done.result.train_s) == ("t", 7.0)
    assert (done.result.repo, done.result.files) == ("team/name", {"a": "b"})


def test_a_result_that_cannot_be_read_fails_the_run_and_does_not_stop_the_rest() -> None:
    run = after(training(), "finished", answers="none")
    assert run.status is Status.failed
    assert run.reason.startswith("The training reported a result that cannot be read: ")


def test_progress_is_what_was_heard_last() -> None:
    run = after(training(), "started", steps=40)
    run = after(run, "phase", phase="loading", done_bytes=5, total_bytes=9)
    assert (run.progress.phase, run.progress.done_bytes, run.progress.total_bytes) == ("loading", 5, 9)
    run = after(run, "phase", phase="training")
    run = after(run, "step", step=3, loss=1.5, learning_rate=1e-3, tokens_per_s=80, left_s=12.5)
    run = after(run, "step", step=4, loss=1.25)
    progress = run.progress
    assert (progress.phase, progress.step, progress.steps, progress.loss) == ("training", 4, 40, 1.25)
    assert (progress.learning_rate, progress.tokens_per_s, progress.left_s) == (1e-3, 80.0, 12.5)
    assert progress.losses == (1.5, 1.25)
    assert run.cursor == 5


def test_warnings_become_notices_once_and_the_latest_are_kept() -> None:
    run = training()
    for number in range(30):
        run = after(run, "warning", "warning", text=f"notice {number}")
    assert run.progress.notices == tuple(f"notice {number}" for number in range(10, 30))
    assert after(run, "out_of_memory", step=7).progress.notices[-1] == "Out of memory at step 7."


@pytest.mark.parametrize("steps", [1, 7, 59, 60, 61, 500, 10_000])
def test_losses_are_thinned_evenly_with_the_first_and_the_last(steps: int) -> None:
    run = after(training(), "started", steps=steps)
    for step in range(1, steps + 1):
        run = after(run, "step", step=step, steps=steps, loss=float(step))
    losses = run.progress.losses
    assert (losses[0], losses[-1]) == (1.0, float(steps))
    assert min(steps, 58) <= len(losses) <= 60
    assert list(losses) == sorted(set(losses))
    assert all(b - a <= math.ceil(steps / 58) for a, b in itertools.pairwise(losses))


def test_losses_of_unknown_length_stay_few_with_the_first_and_the_last() -> None:
    run = training()
    for step in range(1, 200):
        run = after(run, "step", step=step, loss=float(step))
    assert (len(run.progress.losses), run.progress.losses[0], run.progress.losses[-1]) == (60, 1.0, 199.0)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_always_fails_the_run(loss: float) -> None:
    run = after(training(), "step", step=4, loss=loss)
    assert run.status is Status.failed
    assert run.reason == "The loss became NaN at step 4; nothing is published. Try a lower learning_rate."


def test_a_metric_that_is_no_number_is_left_out() -> None:
    run = after(training(), "evaluated", eval_loss=math.nan, accuracy=1)
    run = after(run, "finished", metrics={"margin": math.inf})
    assert run.result.metrics == {"accuracy": 1.0}


def test_a_child_says_itself_why_it_failed() -> None:
    run = after(training(), "failed", reason="Row 3 has no text.", code="data")
    assert (run.status, run.reason, run.ended_at) == (Status.failed, "Row 3 has no text.", 9.0)


def test_a_refused_push_waits_with_its_reason_until_somebody_wakes_it_or_its_days_are_over() -> None:
    run = after(pushing(), "failed", reason="The Hub refused the token.", code="hub")
    assert (run.status, run.reason) == (Status.trained, "The Hub refused the token. The trained model is kept here.")
    assert life.next_step(run) == ""
    woken = life.woken(run)
    assert (woken.status, woken.reason, life.next_step(woken)) == (Status.trained, "", "push")
    assert life.expired(run, 9.0 + 7 * 86400 - 1, 7 * 86400) == run
    over = life.expired(run, 9.0 + 7 * 86400, 7 * 86400)
    assert over.status is Status.failed
    assert over.reason == "The Hub refused the token. It waited for 7 days. The trained model is kept here."


def test_a_training_out_of_memory_is_tried_once_with_half_the_batch() -> None:
    run = training(replace(SPEC, parameters={"batch_size": 4}))
    run = after(after(run, "out_of_memory", step=3), "failed", reason="Too big.", code="memory")
    assert (run.status, run.again, life.next_step(run)) == (Status.running, "Too big.", "train")
    run = life.begin(run, "train-2", 5.0)
    run = after(run, "failed", reason="Too big.", code="memory")
    assert (run.status, run.reason) == (Status.failed, "Too big.")


def test_a_batch_of_one_that_is_too_big_fails_at_once() -> None:
    run = training(replace(SPEC, parameters={"batch_size": 1}))
    assert after(run, "failed", reason="Too big.", code="memory").status is Status.failed


def test_a_loss_that_is_no_number_is_never_tried_again() -> None:
    assert after(training(), "failed", reason="NaN.", code="nan").status is Status.failed


def test_a_restarted_training_says_from_where_and_which_try_it_is() -> None:
    run = life.begin(life.ended(training(), Phase("exited", -9), 4.0), "train-2", 5.0)
    run = after(run, "started", step=120, steps=600)
    assert run.progress.notices == ("Restarted from step 120, try 2 of 3.",)
    assert (run.progress.step, run.progress.steps, run.again) == (120, 600, "")


def test_a_stop_that_somebody_asked_for_cancels() -> None:
    run = after(replace(training(), cancel="save"), "stopped", step=7, steps=60)
    assert run.status is Status.cancelled
    assert run.reason == "Cancelled at step 7 of 60. The model as it was then is kept here."
    run = after(replace(training(), cancel="drop"), "stopped", step=7, steps=60)
    assert run.reason == "Cancelled at step 7 of 60."


def test_a_stop_that_nobody_asked_for_is_started_again() -> None:
    run = after(training(), "stopped", step=7, steps=60)
    assert (run.status, run.again) == (Status.running, "The training was stopped from outside at step 7 of 60.")
    assert life.next_step(run) == "train"


def test_a_finish_that_comes_before_the_wish_is_heard_wins() -> None:
    assert after(replace(pushing(), cancel="drop"), "finished").status is Status.succeeded


def test_a_cancelled_run_starts_nothing() -> None:
    for run in (QUEUED, after(fetching(), "finished"), after(training(), "finished")):
        assert life.next_step(run) != ""
        assert life.next_step(replace(run, cancel="drop")) == ""


def test_cancelling_says_where_it_was_and_what_is_kept() -> None:
    assert life.cancelled(QUEUED, 9.0).reason == "Cancelled before it started."
    trained = after(after(training(), "step", step=60, steps=60), "finished")
    assert life.cancelled(trained, 9.0).reason == "Cancelled at step 60 of 60. The trained model is kept here."


ENDS = [
    ("train", Phase("exited", -9), "The training was killed by the system, most often out of memory: try a smaller "
     "batch_size or max_length."),
    ("train", Phase("exited", 137), "The training was killed by the system, most often out of memory: try a smaller "
     "batch_size or max_length."),
    ("train", Phase("exited", 0), "The training stopped without saying that it was done."),
    ("train", Phase("exited", 1), "The training ended with exit code 1; its log says more."),
    ("train", Phase("exited", -11), "The training ended by signal 11; its log says more."),
    ("train", Phase("lost", None, "the machine restarted"), "The training was lost: the machine restarted."),
    ("train", Phase("lost"), "The training was lost: it vanished without a word."),
    ("fetch", Phase("exited", 1), "The download of the base model ended with exit code 1; its log says more."),
    ("push", Phase("exited", -9), "The upload to the Hub was killed by the system, most often out of memory."),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "phase", "reason"), ENDS)
def test_a_child_that_died_is_tried_three_times_and_then_the_reason_is_said(
    kind: str, phase: Phase, reason: str
) -> None:
    run = {"fetch": fetching, "train": training, "push": pushing}[kind]()
    for number in (2, 3):
        run = life.ended(run, phase, 9.0)
        assert (run.status.is_over, run.again, life.next_step(run)) == (False, reason, kind)
        assert life.ended(run, phase, 9.0) == run
        run = life.begin(run, f"{kind}-{number}", 9.0)
    dead = life.ended(run, phase, 9.0)
    assert dead.reason.startswith(f"{reason} That was try 3; there are 3.")
    assert dead.status is (Status.trained if kind == "push" else Status.failed)


@pytest.mark.parametrize("name", ["pending", "running", "unknown"])
def test_a_child_that_may_still_run_changes_nothing(name: str) -> None:
    assert life.ended(training(), Phase(name), 9.0) == training()


def test_the_end_of_a_child_that_finished_changes_nothing() -> None:
    for run in (after(fetching(), "finished"), after(training(), "finished"), after(pushing(), "finished")):
        assert life.ended(run, Phase("exited", 0), 10.0) == run


def test_a_child_that_dies_after_the_wish_to_cancel_was_cancelled() -> None:
    run = life.ended(replace(training(), cancel="drop"), Phase("exited", -15), 9.0)
    assert run.status is Status.cancelled


NUMBERS = st.one_of(st.none(), st.integers(0, 10**6), st.floats())
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ["step", "steps", "loss", "left_s", "phase", "done_bytes", "text", "reason", "metrics", "answers", "repo", "x"]
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "step": st.integers(0, 100),
        "steps": st.integers(0, 100),
        "loss": NUMBERS,
        "learning_rate": NUMBERS,
        "left_s": NUMBERS,
        "phase": st.text(max_size=5),
        "text": st.text(max_size=5),
        "reason": st.text(max_size=5),
        "metrics": st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
    },
)
DATA = GOOD | st.dictionaries(st.sampled_from(FIELDS), JUNK, max_size=4)
RUNS = st.sampled_from([QUEUED, fetching(), training(), pushing(), replace(training(), cancel="save")])
ATTEMPTS = st.sampled_from(["fetch-1", "train-1", "train-2", "push-1", ""])
EVENTS = st.builds(
    Event, st.sampled_from(["1", "2"]), ATTEMPTS, st.integers(1, 6), st.just(5.0), st.sampled_from(KINDS), DATA
)


@given(RUNS, st.lists(EVENTS, max_size=12))
def test_applying_twice_is_applying_once(run: Run, events: list[Event]) -> None:
    for one in events:
        once = life.apply(run, one, 9.0)
        assert life.apply(once, one, 10.0) == once
        run = once


@given(RUNS, st.lists(EVENTS, max_size=12))
def test_a_run_that_is_over_stays_as_it_ended(run: Run, events: list[Event]) -> None:
    for one in events:
        before, run = run, life.apply(run, one, 9.0)
        assert run == before or not before.status.is_over
        if run.status.is_over:
            assert run.ended_at == 9.0
            assert run.reason or run.status is Status.succeeded


@given(RUNS, st.lists(EVENTS, max_size=12))
def test_a_run_can_be_stored_whatever_it_hears(run: Run, events: list[Event]) -> None:
    for one in events:
        run = life.apply(run, one, 9.0)
    assert msgspec.json.decode(msgspec.json.encode(run), type=Run) == run
    assert run.result == Result() or all(map(math.isfinite, run.result.metrics.values()))


@given(RUNS, EVENTS)
def test_another_run_or_attempt_or_an_old_number_is_not_heard(run: Run, one: Event) -> None:
    run = replace(run, cursor=3)
    is_ours = one.run == run.id and one.attempt == run.attempt != "" and one.seq > 3
    assert (life.apply(run, one, 9.0) != run) == is_ours


def test_a_new_training_begins_with_no_steps_and_a_push_keeps_them() -> None:
    run = after(training(), "step", step=3, steps=9, loss=1.0)
    run = after(run, "warning", text="a notice")
    again = life.begin(run, "train-1", 4.0)
    assert (again.progress.step, again.progress.losses, again.progress.notices) == (0, (), ("a notice",))
    push = life.begin(after(run, "finished"), "push-1", 4.0)
    assert (push.progress.step, push.progress.steps, push.progress.losses) == (3, 9, (1.0,))


def away(run: Run, now: float, **data: Any) -> Run:
    return life.apply(run, event(run, "failed", reason="The Hub could not be reached.", code="away", **data), now)


def test_a_push_that_does_not_reach_the_hub_waits_trained_and_is_due_again_by_itself() -> None:
    run = away(pushing(), 1000.0)
    assert (run.status, run.held_at, run.reason) == (Status.trained, 0.0, "")
    assert (life.next_step(run, 1299.0), life.next_step(run, 1300.0)) == ("", "push")
    assert life.ended(run, Phase("exited", 1), 1001.0) == run
    second = after(life.begin(run, "push-2", 1300.0), "started")
    assert (second.status, second.progress.notices) == (Status.pushing, ())
    assert life.ended(second, Phase("exited", 1), 1301.0).again


def test_an_outage_is_waited_out_with_growing_pauses_and_given_up_after_a_day() -> None:
    run, now, pauses = pushing(), 1000.0, []
    while not run.held_at:
        run = away(run, now)
        pauses.append(run.due_at - now)
        now = max(run.due_at, now)
        run = run if run.held_at else life.begin(run, f"push-{len(pauses) + 1}", now)
    assert pauses[:6] == [300, 300, 600, 1200, 1800, 1800] and max(pauses) == 1800
    assert 1000 + 24 * 3600 <= run.held_at <= 1000 + 24 * 3600 + 1800
    assert "24 hours" in run.reason and run.reason.endswith("The trained model is kept here.")
    woken = life.woken(run)
    assert (woken.held_at, woken.away_since, life.next_step(woken, now)) == (0.0, 0.0, "push")
    assert life.expired(run, run.held_at + 7 * 86400, 7 * 86400).status is Status.failed


def test_a_pause_that_the_hub_asks_for_is_kept() -> None:
    assert away(pushing(), 1000.0, wait_s=4000.0).due_at == 5000.0
    assert life.next_step(life.woken(away(pushing(), 1000.0)), 1000.0) == "push"
