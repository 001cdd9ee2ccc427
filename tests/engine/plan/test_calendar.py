"""The times that people mean by their words, through every change of the clock."""

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from engine.plan.calendar import next_after, parse, said, times_after
from engine.refusal import Refusal


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def times(words: str, after: str, count: int = 3) -> list[str]:
    """The next times in UTC, without seconds."""
    found = islice(times_after(parse(words, "UTC"), seconds(after)), count)
    return [datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M") for at in found]


def test_a_monday_is_a_monday_in_words_and_in_cron() -> None:
    for words in ("every monday 09:00", "0 9 * * 1", "0 9 * * mon", "cron 0 9 * * 1"):
        assert times(words, "2026-11-24 12:00", 2) == ["2026-11-30 09:00", "2026-12-07 09:00"]
        assert said(parse(words, "UTC")) == "every Monday at 09:00 (UTC)"


def test_both_0_and_7_are_sunday() -> None:
    assert (
        times("0 9 * * 0", "2026-11-24 12:00", 1) == times("0 9 * * 7", "2026-11-24 12:00", 1) == ["2026-11-29 09:00"]
    )


def test_a_time_that_comes_twice_fires_once() -> None:
    assert times("every day 02:30 Europe/Berlin", "2026-10-24 12:00") == [
        "2026-10-25 00:30",  # summer time; 02:30 comes again an hour later
        "2026-10-26 01:30",
        "2026-10-27 01:30",
    ]


def test_a_time_that_is_left_out_comes_an_hour_later_and_once() -> None:
    assert times("every day 02:30 Europe/Berlin", "2026-03-28 12:00") == [
        "2026-03-29 01:30",  # 03:30, since there is no 02:30
        "2026-03-30 00:30",
        "2026-03-31 00:30",
    ]


def test_each_hour_fires_each_hour_but_for_the_one_that_comes_twice() -> None:
    found = list(islice(times_after(parse("30 * * * * Europe/Berlin", "UTC"), seconds("2026-03-28 22:00")), 6))
    assert len(set(found)) == 6
    assert sorted(found) == found


def test_every_time_of_ten_years_is_met_once_a_day() -> None:
    when = parse("every day 02:30 America/New_York", "UTC")
    zone, at, days = ZoneInfo("America/New_York"), seconds("2026-01-01 12:00"), []
    for _ in range(3650):
        found = next_after(when, at)
        assert found is not None
        assert found > at
        at = found
        days.append(datetime.fromtimestamp(at, zone).date())
    assert len(set(days)) == len(days) == (days[-1] - days[0]).days + 1


def test_at_names_the_next_such_time_or_a_day() -> None:
    assert times("at 02:00", "2026-11-24 12:00", 1) == ["2026-11-25 02:00"]
    assert times("at 2026-12-24 02:00 Europe/Berlin", "2026-11-24 12:00", 5) == ["2026-12-24 01:00"]
    assert next_after(parse("at 2026-01-01 02:00", "UTC"), seconds("2026-11-24 12:00")) is None
    assert said(parse("at 2026-12-24 2:00 Europe/Berlin", "UTC")) == "once, on 2026-12-24 at 02:00 (Europe/Berlin)"


def test_a_day_of_the_month_or_a_weekday_is_enough_as_with_cron() -> None:
    assert times("0 0 13 * 5", "2026-11-24 12:00", 4) == [
        "2026-11-27 00:00",
        "2026-12-04 00:00",
        "2026-12-11 00:00",
        "2026-12-13 00:00",
    ]


def test_a_day_that_never_comes_has_no_time() -> None:
    assert next_after(parse("0 0 30 2 *", "UTC"), seconds("2026-11-24 12:00")) is None
    assert times("0 0 29 2 *", "2026-11-24 12:00", 1) == ["2028-02-29 00:00"]


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("", "When?"),
        ("every", "no day"),
        ("every mo 02:00", "`mo` is no day"),
        ("every monday", "time of day is missing"),
        ("at 25:00", "`25:00` is no time of day"),
        ("at 02:00 Berlin", "`Berlin` is no time zone"),
        ("at 02:00 ../etc/passwd", "no time zone"),
        ("at 2026-02-30 02:00", "no day 2026-02-30"),
        ("at 02:00 UTC please", "`please`"),
        ("*/5 * * * *", "once an hour at most"),
        ("0 9-8 * * *", "`9-8` is no field"),
        ("0 9 * * funday", "`funday` is no field"),
        ("0 9/0 * * *", "`9/0` is no field"),
        ("61 9 * * *", "`61` is no field"),
    ],
)
def test_what_cannot_be_read_is_said_with_an_example(words: str, part: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse(words, "UTC")
    assert part in refusal.value.text


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("every day 02:00", "every day at 02:00 (UTC)"),
        ("every weekday 18:30", "Monday to Friday at 18:30 (UTC)"),
        ("every mon,thu 02:00", "every Monday, every Thursday at 02:00 (UTC)"),
        ("0 2,14 1 */3 *", "on day 1 of the month in Jan, Apr, Jul, Oct at 02:00, 14:00 (UTC)"),
        ("15 * * * *", "every day each hour at minute 15 (UTC)"),
    ],
)
def test_a_schedule_reads_as_a_sentence(words: str, sentence: str) -> None:
    assert said(parse(words, "UTC")) == sentence
