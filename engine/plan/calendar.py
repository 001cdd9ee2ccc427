"""When something is to happen: the words that people type, the same in a sentence, and the times that follow. Pure.

`at 02:00`, `at 2026-12-24 02:00`, `every monday 02:00 Europe/Berlin`, or the five fields of cron, where 1 is Monday
and both 0 and 7 are Sunday. Times are walked through by the wall's clock, so each is met once: one that a change of
the clock leaves out comes as much later as the clock was put on, and of one that comes twice the first counts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.refusal import Refusal

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MOST_DAYS = 366 * 5
"""How far ahead is looked: over a leap year, so that what comes within it at all is found."""
EXAMPLES = "`at 02:00`, `at 2026-12-24 02:00`, `every monday 02:00 Europe/Berlin`, or cron's `0 9 * * 1`"


@dataclass(frozen=True)
class When:
    """`weekdays` counts from 1 for Monday; an empty set of days, months or weekdays is any. `date` is ISO's.

    Where both `days` and `weekdays` are given, either is enough, as with cron.
    """

    minute: int
    hours: tuple[int, ...]
    zone: str
    weekdays: tuple[int, ...] = ()
    days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    date: str = ""
    is_once: bool = False


def parse(words: str, zone: str) -> When:
    """`zone` is for words that name none. Raises Refusal that shows what can be read."""
    parts = words.split()
    first = parts[0].lower() if parts else ""
    if first == "at":
        return _at(parts[1:], zone)
    if first == "every":
        return _every(parts[1:], zone)
    return _cron(parts[1:] if first == "cron" else parts, zone)


def _at(parts: list[str], zone: str) -> When:
    day = parts.pop(0) if parts and re.fullmatch(r"\d{4}-\d\d-\d\d", parts[0]) else ""
    try:
        date.fromisoformat(day or "2026-01-01")
    except ValueError:
        raise Refusal(f"There is no day {day}.", "when") from None
    hour, minute = _clock(parts)
    return When(minute, (hour,), _zone(parts[1:], zone), date=day, is_once=True)


def _every(parts: list[str], zone: str) -> When:
    word = parts.pop(0).lower() if parts else ""
    groups: dict[str, tuple[int, ...]] = {"day": (), "weekday": (1, 2, 3, 4, 5)}
    days = groups.get(word)
    if days is None:
        days = tuple(sorted({_weekday(name) for name in word.split(",")}))
    hour, minute = _clock(parts)
    return When(minute, (hour,), _zone(parts[1:], zone), weekdays=days)


def _weekday(name: str) -> int:
    found = [number for number, day in enumerate(WEEKDAYS, 1) if len(name) >= 3 and day.startswith(name)]
    if not found:
        raise Refusal(f"`{name}` is no day: {', '.join(WEEKDAYS)}, day or weekday.", "when")
    return found[0]


def _clock(parts: list[str]) -> tuple[int, int]:
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", parts[0]) if parts else None
    if not found:
        said = f"`{parts[0]}` is no time of day" if parts else "The time of day is missing"
        raise Refusal(f"{said}; I read {EXAMPLES}.", "when")
    return int(found[1]), int(found[2])


def _zone(parts: list[str], zone: str) -> str:
    name = parts[0] if parts else zone
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Refusal(f"`{name}` is no time zone that I know; they look like Europe/Berlin or UTC.", "when") from None
    if parts[1:]:
        raise Refusal(f"I do not know what `{parts[1]}` means there; I read {EXAMPLES}.", "when")
    return name


def _cron(parts: list[str], zone: str) -> When:
    if len(parts) < 5:
        raise Refusal(f"When? I read {EXAMPLES}.", "when")
    minute, hours, days, months, weekdays = parts[:5]
    minutes = _numbers(minute, 0, 59)
    if len(minutes) != 1:
        raise Refusal("A schedule starts a run once an hour at most: give one minute, as in `0 9 * * 1`.", "when")
    on = () if weekdays == "*" else tuple(sorted({number or 7 for number in _numbers(weekdays, 0, 7, WEEKDAYS)}))
    return When(
        minutes[0],
        _numbers(hours, 0, 23),
        _zone(parts[5:], zone),
        weekdays=() if len(on) == 7 else on,
        days=() if days == "*" else _numbers(days, 1, 31),
        months=() if months == "*" else _numbers(months, 1, 12, MONTHS),
    )


def _numbers(field: str, low: int, high: int, names: tuple[str, ...] = ()) -> tuple[int, ...]:
    """A field of cron: `*`, `*/2`, `1-5`, `1-9/2`, `1,3`, or names."""
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _, step = part.partition("/")
        start, _, end = ("*", "", "") if span == "*" else span.partition("-")
        first = low if start == "*" else _number(start, field, names)
        last = high if start == "*" else _number(end or start, field, names)
        width = int(step) if step.isdigit() else 1 - bool(step)
        if not (low <= first <= last <= high and width > 0):
            raise Refusal(f"`{field}` is no field of cron from {low} to {high}; I read {EXAMPLES}.", "when")
        found.update(range(first, last + 1, width))
    return tuple(sorted(found))


def _number(word: str, field: str, names: tuple[str, ...]) -> int:
    named = [number for number, name in enumerate(names, 1) if len(word) >= 3 and name.startswith(word)]
    if not named and not (word.isascii() and word.isdigit() and len(word) < 4):
        raise Refusal(f"`{field}` is no field of cron; I read {EXAMPLES}.", "when")
    return named[0] if named else int(word)


def next_after(when: When, after: float) -> float | None:
    """The first time after `after`, both in seconds since 1970; None if there is none within five years."""
    return next(times_after(when, after), None)


def times_after(when: When, after: float) -> Iterator[float]:
    """All times after `after`, in order."""
    zone = ZoneInfo(when.zone)
    today = datetime.fromtimestamp(after, zone).date()
    # What the change of a clock left out yesterday may still come today.
    days = (today + timedelta(days=number) for number in range(-1, MOST_DAYS))
    last = after
    for day in days:
        if not _is_on(when, day):
            continue
        for hour in when.hours:
            wall = datetime.combine(day, time(hour, when.minute), zone)  # fold=0: the first of two
            at = wall.astimezone(UTC).timestamp()
            if at > last:
                last = at
                yield at


def _is_on(when: When, day: date) -> bool:
    if when.date:
        return day.isoformat() == when.date
    is_month = not when.months or day.month in when.months
    fits = [chosen for chosen in ((day.day, when.days), (day.isoweekday(), when.weekdays)) if chosen[1]]
    return is_month and (not fits or any(number in numbers for number, numbers in fits))


def said(when: When) -> str:
    """In words, as in `every Monday at 02:00 (Europe/Berlin)`."""
    every_hour = len(when.hours) == 24
    clock = ", ".join(f"{hour:02}:{when.minute:02}" for hour in when.hours)
    time_of_day = f"each hour at minute {when.minute}" if every_hour else f"at {clock}"
    if when.is_once:
        return f"once, {f'on {when.date} ' if when.date else ''}{time_of_day} ({when.zone})"
    names = [f"every {WEEKDAYS[number - 1].capitalize()}" for number in when.weekdays]
    if when.weekdays == (1, 2, 3, 4, 5):
        names = ["Monday to Friday"]
    dates = [f"on day {', '.join(map(str, when.days))} of the month"] if when.days else []
    days = " or ".join(filter(None, (", ".join(names), *dates))) or "every day"
    months = f" in {', '.join(MONTHS[number - 1].capitalize() for number in when.months)}" if when.months else ""
    return f"{days}{months} {time_of_day} ({when.zone})"
