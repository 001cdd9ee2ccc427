"""How a run lives: what each event, each end of a child and each wish of a person makes of it. Pure.

queued → running → trained → pushing → succeeded | failed | cancelled; a run without a target repo succeeds once it
is trained. A child that dies without a word is started again; a push that is refused goes back to trained and waits.
Applying the same event twice is the same as applying it once.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from engine.events import Event
from engine.executor import Phase
from engine.hub import outage
from engine.jobs import Progress, Result, Run, Status
from engine.plan import mending

MOST_LOSSES = 60
MOST_NOTICES = 20
MOST_TRIES = 3
"""How often a child that dies without a word is started in all. What it says itself is believed at once."""

WORK = {"fetch": "The download of the base model", "train": "The training", "push": "The upload to the Hub"}
RESTARTED = {"fetch": "The download was restarted", "train": "Restarted", "push": "The upload was restarted"}
KEPT = "The trained model is kept here."
SMALLER = "try a smaller batch_size or max_length"


def kind_of(attempt: str) -> str:
    """`train` for `train-1`."""
    return attempt.rpartition("-")[0]


def number_of(attempt: str) -> int:
    """2 for `train-2`."""
    return int(attempt.rpartition("-")[2])


def next_step(run: Run, now: float = math.inf) -> str:
    """Which child to start now, once the last one is gone: `fetch`, `train`, `push`, or empty for none."""
    if run.cancel or run.status.is_over:
        return ""
    if run.again:
        return kind_of(run.attempt)
    if run.status is Status.queued:
        return "fetch"
    if run.status is Status.running and run.done == "fetch" and kind_of(run.attempt) == "fetch":
        return "train"
    is_due = run.status is Status.trained and run.spec.target.repo and not run.held_at
    return "push" if is_due and now >= run.due_at else ""


def begin(run: Run, attempt: str, now: float) -> Run:
    """The run as a new attempt starts on it."""
    status = Status.pushing if kind_of(attempt) == "push" else Status.running
    progress = replace(run.progress, phase="", done_bytes=0, total_bytes=0, left_s=None)
    if kind_of(attempt) == "train" and number_of(attempt) == 1:
        progress = Progress(notices=run.progress.notices)
    started_at = run.started_at or now
    before = run.tries_before if kind_of(attempt) == kind_of(run.attempt) else 0
    run = replace(run, status=status, attempt=attempt, cursor=0, progress=progress, started_at=started_at)
    return replace(run, again="", reason="", due_at=0.0, tries_before=before)


def apply(run: Run, event: Event, now: float) -> Run:
    """The run after `event`. What a run that is over, or another attempt, still says changes nothing."""
    is_ours = run.attempt != "" and (event.run, event.attempt) == (run.id, run.attempt)
    if run.status.is_over or not is_ours or event.seq <= run.cursor:
        return run
    change = CHANGES.get(event.kind)
    return replace(change(run, event.data, now) if change else run, cursor=event.seq)


def ended(run: Run, phase: Phase, now: float) -> Run:
    """The run after its child ended, if the child did not say itself how."""
    kind = kind_of(run.attempt)
    has_said = run.status.is_over or run.done == kind or bool(run.again) or bool(run.held_at or run.due_at)
    if has_said or phase.name not in ("exited", "lost"):
        return run
    if run.cancel:
        return cancelled(run, now)
    is_killed = kind == "train" and phase.name == "exited" and phase.code in mending.KILLED
    run = replace(run, has_less_memory=run.has_less_memory or (is_killed and mending.can_halve_batch(run)))
    return again(run, _how_it_ended(kind, phase), now, "memory" if is_killed else "crash")


def again(run: Run, reason: str, now: float, trouble: str = "crash") -> Run:
    """The run whose child is to be started once more; failed with `reason` after the last try."""
    if this_try(run) < MOST_TRIES:
        return replace(run, again=reason)
    reason = f"{reason} That was try {this_try(run)}; there are {MOST_TRIES}."
    return held(run, reason, now) if kind_of(run.attempt) == "push" else failed(run, reason, now, trouble)


def held(run: Run, reason: str, now: float) -> Run:
    """The run whose model could not be pushed: it waits, trained, for somebody who mends that."""
    return replace(run, status=Status.trained, reason=f"{reason} {KEPT}", held_at=now)


def woken(run: Run) -> Run:
    """The run as somebody wants its model pushed now."""
    before = number_of(run.attempt) if is_push(run) else 0
    fresh = replace(run, reason="", held_at=0.0, due_at=0.0, away_since=0.0, tries_before=before)
    return fresh if run.status is Status.trained else run


def is_push(run: Run) -> bool:
    return kind_of(run.attempt) == "push"


def this_try(run: Run) -> int:
    """How often its child was started, from 1; a push that somebody woke begins anew."""
    return number_of(run.attempt) - run.tries_before


def expired(run: Run, now: float, keep_s: float) -> Run:
    """The run, failed if it was held for longer than `keep_s`."""
    if not run.held_at or run.status.is_over or now < run.held_at + keep_s:
        return run
    said = run.reason.removesuffix(KEPT).strip()
    return failed(run, f"{said} It waited for {keep_s / 86400:.0f} days.", now, "hub")


def cancelled(run: Run, now: float) -> Run:
    """The run as somebody ended it."""
    progress = run.progress
    where = f" at step {progress.step} of {progress.steps}" if progress.step else ""
    reason = f"Cancelled{where}." if run.attempt else "Cancelled before it started."
    kept = f" {KEPT}" if run.done == "train" else ""
    return replace(run, status=Status.cancelled, reason=reason + kept, ended_at=now)


def failed(run: Run, reason: str, now: float, trouble: str = "crash") -> Run:
    """The run as it could not go on, and what kind of trouble that was; a trained model is said to be kept."""
    kept = f" {KEPT}" if run.done == "train" else ""
    return replace(run, status=Status.failed, reason=reason + kept, trouble=trouble, ended_at=now)


def _how_it_ended(kind: str, phase: Phase) -> str:
    work = WORK[kind]
    if phase.name == "lost":
        return f"{work} was lost: {phase.detail or 'it vanished without a word'}."
    if phase.code in mending.KILLED:
        hint = f": {SMALLER}" if kind == "train" else ""
        return f"{work} was killed by the system, most often out of memory{hint}."
    if phase.code == 0:
        return f"{work} stopped without saying that it was done."
    how = f"by signal {-phase.code}" if phase.code is not None and phase.code < 0 else f"with exit code {phase.code}"
    return f"{work} ended {how}; its log says more."


Data = Mapping[str, Any]


def _started(run: Run, data: Data, now: float) -> Run:
    step = data.get("step")
    has_gpu = bool(data.get("has_gpu", run.progress.has_gpu))
    progress = replace(run.progress, steps=_whole(data.get("steps"), run.progress.steps), has_gpu=has_gpu)
    if kind_of(run.attempt) == "train" and isinstance(step, int):
        progress = replace(progress, step=step)
    run = replace(run, progress=progress)
    kind, number = kind_of(run.attempt), this_try(run)
    goes_on = kind == "train" and progress.step > 0
    if number == 1 and not goes_on:
        return run
    where = f" from step {progress.step}" if kind == "train" else ""
    return _with_notice(run, f"{RESTARTED[kind]}{where}, try {number} of {MOST_TRIES}.")


def _phase(run: Run, data: Data, now: float) -> Run:
    done, total = _whole(data.get("done_bytes"), 0), _whole(data.get("total_bytes"), 0)
    phase = str(data.get("phase") or run.progress.phase)
    return replace(run, progress=replace(run.progress, phase=phase, done_bytes=done, total_bytes=total))


def _step(run: Run, data: Data, now: float) -> Run:
    step = _whole(data.get("step"), run.progress.step)
    if isinstance(data.get("loss"), float) and not math.isfinite(data["loss"]):
        return failed(
            run, f"The loss became NaN at step {step}; nothing is published. Try a lower learning_rate.", now, "nan"
        )
    last, loss = run.progress, _number(data.get("loss"))
    progress = replace(
        last,
        step=step,
        steps=_whole(data.get("steps"), last.steps),
        loss=last.loss if loss is None else loss,
        learning_rate=_number(data.get("learning_rate"), last.learning_rate),
        grad_norm=_number(data.get("grad_norm"), last.grad_norm),
        tokens_per_s=_number(data.get("tokens_per_s"), last.tokens_per_s),
        memory_gb=_number(data.get("memory_gb"), last.memory_gb),
        left_s=_number(data.get("left_s"), last.left_s),
    )
    losses = last.losses if loss is None else _thinned(last, step, progress.steps, loss)
    return replace(run, progress=replace(progress, losses=losses))


def _thinned(last: Progress, step: int, steps: int, loss: float) -> tuple[float, ...]:
    """The losses with one more: the first of all, and the latest of each of 58 equal stretches of the steps."""
    stretches = MOST_LOSSES - 2
    is_same = steps > 0 and step * stretches // steps == last.step * stretches // steps
    kept = last.losses[:-1] if is_same and len(last.losses) > 1 else last.losses
    return (*kept[:1], *kept[1:][2 - MOST_LOSSES :], loss)


def _evaluated(run: Run, data: Data, now: float) -> Run:
    metrics = {name: float(value) for name, value in data.items() if name != "step" and _number(value) is not None}
    return replace(run, result=replace(run.result, metrics={**run.result.metrics, **metrics}))


def _checkpoint(run: Run, data: Data, now: float) -> Run:
    return replace(run, progress=replace(run.progress, saved_step=_whole(data.get("step"), run.progress.saved_step)))


def _warning(run: Run, data: Data, now: float) -> Run:
    return _with_notice(run, str(data.get("text", "")))


def _out_of_memory(run: Run, data: Data, now: float) -> Run:
    return _with_notice(run, f"Out of memory at step {data.get('step', run.progress.step)}.")


def _with_notice(run: Run, text: str) -> Run:
    old = run.progress.notices
    if not text or text in old:
        return run
    return replace(run, progress=replace(run.progress, notices=(*old, text)[-MOST_NOTICES:]))


def _stopped(run: Run, data: Data, now: float) -> Run:
    step, steps = _whole(data.get("step"), run.progress.step), _whole(data.get("steps"), run.progress.steps)
    run = replace(run, progress=replace(run.progress, step=step, steps=steps))
    kind = kind_of(run.attempt)
    if not run.cancel:
        where = f" at step {step} of {steps}" if kind == "train" else ""
        return again(run, f"{WORK[kind]} was stopped from outside{where}.", now)
    ended = cancelled(run, now)
    saved = " The model as it was then is kept here." if run.cancel == "save" and kind == "train" else ""
    return replace(ended, reason=ended.reason + saved)


def _failed(run: Run, data: Data, now: float) -> Run:
    reason = str(data.get("reason") or f"{WORK[kind_of(run.attempt)]} failed.")
    code = str(data.get("code") or "crash")
    if code == "memory" and mending.can_halve_batch(run):
        return again(replace(run, has_less_memory=True), reason, now, code)
    if code == "away" and is_push(run):
        later = outage.put_off(run, now, _number(data.get("wait_s")) or 0.0)
        return later or held(run, f"{reason} {outage.GIVEN_UP}", now)
    return held(run, reason, now) if kind_of(run.attempt) == "push" else failed(run, reason, now, code)


def _finished(run: Run, data: Data, now: float) -> Run:
    kind = kind_of(run.attempt)
    run = replace(run, done=kind)
    if kind == "fetch":
        return run
    try:
        result = _merged(run.result, data)
    except msgspec.ValidationError as error:
        return failed(run, f"{WORK[kind]} reported a result that cannot be read: {error}.", now)
    if kind == "train" and run.spec.target.repo:
        return replace(run, status=Status.trained, result=result)
    return replace(run, status=Status.succeeded, result=result, ended_at=now)


def _merged(result: Result, data: Data) -> Result:
    """What `finished` brings, over what was known: the push adds to the training's result."""
    both = {**msgspec.to_builtins(result), **data}
    merged = msgspec.convert(both, Result)
    metrics = {**result.metrics, **merged.metrics}
    return replace(merged, metrics={name: value for name, value in metrics.items() if math.isfinite(value)})


def _number(value: Any, otherwise: float | None = None) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else otherwise


def _whole(value: Any, otherwise: int) -> int:
    """A count, or what was known before: a value of another type would make the stored run unreadable."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value else otherwise


CHANGES: Mapping[str, Callable[[Run, Data, float], Run]] = {
    "started": _started,
    "phase": _phase,
    "step": _step,
    "evaluated": _evaluated,
    "checkpoint": _checkpoint,
    "warning": _warning,
    "out_of_memory": _out_of_memory,
    "stopped": _stopped,
    "finished": _finished,
    "failed": _failed,
}
