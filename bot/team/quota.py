"""How much one person and one channel may have: runs in the queue, runs a day, hours a month, and costs of one run.

Pure, but for what it reads of the store. What is over says so in a sentence; a second person may approve it.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection

import engine.store
from bot.settings import Settings
from engine.jobs import JobSpec, Run, Status
from engine.work import usage

DAY_S = 86400.0
FULL = "This channel has {most} runs that are not over, as many as one channel may have"
PERSON_WAITS = "waits for another run of the same person"
CHANNEL_WAITS = "waits for another run of its channel"


def over(db: Connection, settings: Settings, spec: JobSpec, hours: float, now: float) -> str:
    """What stands against one more run of that person in that channel, of about `hours`; empty for nothing."""
    requester = spec.requester
    return (
        _queue(db, settings, requester)
        or _channel(db, settings, spec.channel)
        or _day(db, settings, requester, now)
        or _month(db, settings, requester, hours, now)
        or cost(settings, hours)
    )


def _queue(db: Connection, settings: Settings, requester: str) -> str:
    most = settings.max_queued and settings.max_queued + settings.max_running
    if not most or engine.store.count_open(db, requester) < most:
        return ""
    return f"You have {most} runs that are not over, as many as one person may have (MAX_RUNNING, MAX_QUEUED)."


def _channel(db: Connection, settings: Settings, channel: str) -> str:
    most = settings.max_queued_channel and settings.max_queued_channel + settings.max_running_channel
    if not most or not channel:
        return ""
    there = sum(run.spec.channel == channel for run in engine.store.open_runs(db))
    return f"{FULL.format(most=most)} (MAX_RUNNING_CHANNEL, MAX_QUEUED_CHANNEL)." if there >= most else ""


def held_back(in_turn: Sequence[Run], settings: Settings) -> dict[str, str]:
    """Why queued runs may not begin even where there is room, by run: enough of that person or channel is at work."""
    at_work = [run for run in in_turn if run.status is Status.running]
    waiting = [run for run in in_turn if run.status is Status.queued]

    def are_many(run: Run, of: Callable[[JobSpec], str], most: int) -> bool:
        return bool(most and of(run.spec)) and sum(of(other.spec) == of(run.spec) for other in at_work) >= most

    channel = {
        run.id: CHANNEL_WAITS for run in waiting if are_many(run, lambda s: s.channel, settings.max_running_channel)
    }
    person = {run.id: PERSON_WAITS for run in waiting if are_many(run, lambda s: s.requester, settings.max_running)}
    return channel | person


def _day(db: Connection, settings: Settings, requester: str, now: float) -> str:
    most = settings.max_runs_a_day
    if not most or usage.count_queued_since(db, requester, now - DAY_S) < most:
        return ""
    return f"You have started {most} runs within a day, as many as one person may (MAX_RUNS_A_DAY)."


def _month(db: Connection, settings: Settings, requester: str, hours: float, now: float) -> str:
    most = settings.max_gpu_hours_a_month
    if not most:
        return ""
    used = usage.hours_trained(db, requester, month_began(now), now)
    if used + hours <= most:
        return ""
    return (
        f"Your runs have trained for {used:.1f} h this month and this one would take about {hours:.1f} h; "
        f"one person has {most:g} h (MAX_GPU_HOURS_A_MONTH)."
    )


def cost(settings: Settings, hours: float) -> str:
    """What stands against a run that takes so long, whoever wants it."""
    most = settings.approve_above_hours
    if not most or hours <= most:
        return ""
    return f"This run would take about {hours:.1f} h; above {most:g} h a second person approves (APPROVE_ABOVE_HOURS)."


def month_began(now: float) -> float:
    """By UTC."""
    return datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
