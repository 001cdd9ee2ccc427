"""How much one person may have: runs in the queue, runs a day, hours of training a month, and costs of one run.

Pure, but for what it reads of the store. What is over says so in a sentence; a second person may approve it.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection

import engine.store
from bot.settings import Settings
from engine.work import usage

DAY_S = 86400.0


def over(db: Connection, settings: Settings, requester: str, hours: float, now: float) -> str:
    """What stands against one more run of that person, of about `hours`; empty for nothing."""
    return (
        _queue(db, settings, requester)
        or _day(db, settings, requester, now)
        or _month(db, settings, requester, hours, now)
        or cost(settings, hours)
    )


def _queue(db: Connection, settings: Settings, requester: str) -> str:
    most = settings.max_queued and settings.max_queued + settings.max_running
    if not most or engine.store.count_open(db, requester) < most:
        return ""
    return f"You have {most} runs that are not over, as many as one person may have (MAX_RUNNING, MAX_QUEUED)."


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
