"""Words about times → a Request: `schedule RUN WHEN`, `schedules`, `unschedule ID`. Pure."""

from dataclasses import dataclass

from engine.plan import calendar
from engine.refusal import Refusal
from engine.store import is_run_id


@dataclass(frozen=True)
class Schedule:
    """Start a run later, or again and again; `when` as it was typed."""

    run: str
    when: str


@dataclass(frozen=True)
class Schedules:
    """Say what is to start, and when."""


@dataclass(frozen=True)
class Unschedule:
    id: str


WORDS = ("schedule", "schedules", "unschedule")


def parse(word: str, rest: list[str]) -> Schedule | Schedules | Unschedule:
    """Raises Refusal."""
    if word == "schedules" or (word == "schedule" and not rest):
        return Schedules()
    number = rest[0].lstrip("#").removeprefix("run-") if rest else ""
    if word == "unschedule":
        if not is_run_id(number):
            raise Refusal("Which schedule? For example `/finetune unschedule 2`; `/finetune schedules` shows them.")
        return Unschedule(number)
    if not is_run_id(number):
        raise Refusal(f"`{rest[0]}` is no run: say `/finetune schedule 7 every monday 02:00 Europe/Berlin`.", "run")
    when = " ".join(rest[1:])
    calendar.parse(when, "UTC")
    return Schedule(number, when)
