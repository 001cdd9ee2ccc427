"""What the attempts of runs did, for /metrics and /readyz: phases, answers of the Hub, heartbeats that stopped."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sqlalchemy import Connection, select

from bot.watching import figures
from engine import store
from engine.database import Database
from engine.events import ENDS, Event
from engine.hub import tally
from engine.store import Tried, attempts_table
from engine.work.asking.tending import KIND as ASK

RECENT_S = 3600.0
SILENT_S = 60.0
"""A heartbeat comes every two seconds; one that is so old has stopped."""


class Attempts:
    """`silent` names the attempts that should be at work and whose heartbeat stopped, as `7/train-1`."""

    def __init__(self, database: Database, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self.root = root
        self.clock = clock
        self.silent: list[str] = []
        self._told: dict[str, Counter[str]] = {}
        """Of each attempt, the answers of the Hub that were counted."""
        self._over: set[str] = set()

    async def tick(self) -> None:
        open_, ended = await self.database.read(recent, self.clock() - RECENT_S)
        fresh = [tried for tried in ended if name(tried) not in self._over]
        await asyncio.to_thread(self._count, [*open_, *fresh])
        for tried in fresh:
            for phase, seconds in durations(await self.database.read(store.events, tried.run, tried.name)):
                figures.PHASE.labels(tried.kind, phase).observe(seconds)
        self._over = {name(tried) for tried in ended}
        self.silent = await asyncio.to_thread(self._silent, open_)

    def _count(self, attempts: Iterable[Tried]) -> None:
        """Since an attempt may last for hours, its answers are counted while it is at work too."""
        for tried in attempts:
            found = tally.read(self._folder(tried) / tally.NAME)
            for status, count in (found - self._told.get(name(tried), Counter())).items():
                figures.HUB_ANSWERS.labels(tried.kind, status).inc(count)
            self._told[name(tried)] = found

    def _silent(self, open_: Iterable[Tried]) -> list[str]:
        """By when the heartbeat was written here: where attempts run elsewhere, their clock may be another."""
        found = []
        for tried in open_:
            beat = self._folder(tried) / "heartbeat.json"
            is_over = (self._folder(tried) / "exit.json").exists()
            if beat.exists() and not is_over and self.clock() - beat.stat().st_mtime > SILENT_S:
                found.append(name(tried))
        return found

    def _folder(self, tried: Tried) -> Path:
        return self.root / tried.run / "attempts" / tried.name


def name(tried: Tried) -> str:
    return f"{tried.run}/{tried.name}"


def recent(db: Connection, since: float) -> tuple[list[Tried], list[Tried]]:
    """The attempts that may be at work, and those that ended after `since`; questions to a model apart."""
    ended = attempts_table.c.ended_at >= since
    runs = db.execute(select(attempts_table.c.run).where(ended & (attempts_table.c.kind != ASK)).distinct()).scalars()
    tried = [each for run in list(runs) for each in store.attempts(db, str(run))]
    open_ = [each for each in store.open_attempts(db) if each.kind != ASK]
    return open_, [each for each in tried if each.ended_at is not None and each.ended_at >= since and each.kind != ASK]


def durations(events: Sequence[Event]) -> Iterable[tuple[str, float]]:
    """Seconds in each phase that an attempt told, in their order; the last one ends with the attempt's last word."""
    marks = [event for event in events if event.kind == "phase" or event.kind in ENDS]
    took: dict[str, float] = {}
    for event, after in itertools.pairwise(marks):
        phase = str(event.data.get("phase", ""))
        took[phase] = took.get(phase, 0.0) + max(0.0, after.at - event.at)
    return took.items()
