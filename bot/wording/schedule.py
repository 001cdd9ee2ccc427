"""What the bot says of times: a schedule before and after it is saved, and the list."""

from collections.abc import Sequence
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from bot.chat import Button, Message, Table
from bot.store import Schedule
from bot.wording.numbers import count
from bot.wording.run import subject
from engine.jobs import Run
from engine.plan.calendar import said, times_after

SHOWN = 3


def wall(at: float, zone: str) -> str:
    """As a clock on the wall there shows it, e.g. `Mon 30 Nov 2026 02:00 CET`."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%a %d %b %Y %H:%M %Z")


def asked(key: str, schedule: Schedule, run: Run, now: float, is_moved: bool) -> Message:
    """What a schedule would do, before anybody saved it."""
    times = [wall(at, schedule.when.zone) for at in islice(times_after(schedule.when, now), SHOWN)]
    which = f"Run {run.id}" if is_moved else f"A run like run {run.id}"
    return Message(
        key,
        f"{subject(run)}\n{which} starts {said(schedule.when)}.",
        title=f"Schedule {schedule.id}?",
        fields=(("Next", ", ".join(times)),),
        buttons=(
            Button("Save", f"schedule:{schedule.id}", "primary"),
            Button("Discard", f"unschedule:{schedule.id}"),
        ),
    )


def listing(key: str, schedules: Sequence[Schedule]) -> Message:
    if not schedules:
        return Message(
            key, "Nothing is scheduled here. `/finetune schedule 7 every monday 02:00 Europe/Berlin` repeats run 7."
        )
    rows = tuple((s.id, s.run, said(s.when), wall(s.next_at, s.when.zone), s.person.name) for s in schedules)
    table = Table(("Schedule", "Run", "When", "Next", "By"), rows)
    return Message(key, f"{count(len(rows), 'schedule')}. `/finetune unschedule {rows[0][0]}` ends one.", table=table)


def ended(key: str, schedule: Schedule) -> Message:
    return Message(key, f"Schedule {schedule.id} is over: {said(schedule.when)}, nothing starts any more.")


def unknown(key: str, schedule_id: str) -> Message:
    return Message(key, f"There is no schedule {schedule_id}. `/finetune schedules` shows those of this place.")


def waits(schedule: Schedule) -> str:
    """A run's reason while it waits for its time."""
    return f"It starts at {wall(schedule.next_at, schedule.when.zone)}, by schedule {schedule.id}."


def fired(schedule: Schedule, run: str) -> Message:
    return Message(
        f"schedule/{schedule.id}/{schedule.next_at:.0f}",
        f"Run {run} repeats run {schedule.run}: schedule {schedule.id}, {said(schedule.when)}.",
        is_silent=True,
    )


def not_fired(schedule: Schedule, why: str) -> Message:
    return Message(
        f"schedule/{schedule.id}/{schedule.next_at:.0f}",
        f"Schedule {schedule.id} ({said(schedule.when)}) started nothing this time. {why}",
        mentions=(schedule.person,),
    )
