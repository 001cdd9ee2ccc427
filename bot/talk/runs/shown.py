"""Answers about runs: how they stand, their logs, and ending them."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming
from bot.redact import redactor
from bot.store import Watch
from bot.talk.commands import Cancel, Logs, Show
from bot.talk.context import Context
from bot.team import quota
from bot.team.access import check_may_end
from bot.wording import run as words
from engine.folder import RunFolder
from engine.jobs import Run

LISTED = 10
LOOKED_AT = 200
TAIL_LINES = 20


async def show(context: Context, incoming: Incoming, request: Show) -> None:
    key = f"{incoming.key}/answer"
    if not request.run:
        runs = await context.database.read(_listed, context, incoming)
        await context.say(incoming.place, words.listing(key, [context.shown(run) for run in runs]))
    elif run := await find(context, incoming, request.run):
        await context.say(incoming.place, words.listing(key, [context.shown(run)]))


async def queue(context: Context, incoming: Incoming) -> None:
    """All that runs and waits: of what may not be spoken of here, only that it is there."""
    opened, seen = await context.database.read(_queue, context, incoming)
    waits = engine.store.starts(opened, len(context.slots()) or 1, context.clock())
    runs, held = [context.shown(run) for run in opened], quota.held_back(opened, context.settings)
    await context.say(incoming.place, words.queue(f"{incoming.key}/answer", runs, seen, waits, held))


def _queue(db: Connection, context: Context, incoming: Incoming) -> tuple[list[Run], set[str]]:
    opened = engine.store.in_turn(db)
    watches = ((run.id, store.watch_of(db, run.id)) for run in opened)
    return opened, {run for run, watch in watches if watch and may_see(context, incoming, watch)}


def _listed(db: Connection, context: Context, incoming: Incoming) -> list[Run]:
    """The latest runs that may be spoken of here."""
    runs = ((run, store.watch_of(db, run.id)) for run in engine.store.recent_runs(db, LOOKED_AT))
    return [run for run, watch in runs if watch and may_see(context, incoming, watch)][:LISTED]


def may_see(context: Context, incoming: Incoming, watch: Watch) -> bool:
    """A run is known in its thread, to whoever asked for it, and in the team's channel unless its place is private."""
    is_team = incoming.place.id == context.settings.team_channel and not watch.is_private
    return is_team or watch.place == incoming.place or watch.person.id == incoming.person.id


async def cancel(context: Context, incoming: Incoming, request: Cancel) -> None:
    if run := await find(context, incoming, request.run):
        if not run.status.is_over:
            await check_may_end(context, incoming.person, run)
            await context.database.write(engine.store.ask_cancel, run.id, request.wants_save)
        await context.say(incoming.place, words.cancelling(f"{incoming.key}/answer", run))


async def logs(context: Context, incoming: Incoming, request: Logs) -> None:
    if run := await find(context, incoming, request.run):
        file = await asyncio.to_thread(_log, context.settings.runs / run.id, run)
        tail = _tail(file) if file else ""
        await context.say(incoming.place, words.logs(f"{incoming.key}/answer", run.id, tail, file))


def _log(folder: Path, run: Run) -> Path | None:
    """A copy of the log that may be shown: libraries wrote it, so secrets and tracebacks are taken out."""
    file = RunFolder(folder).attempts / run.attempt / "log.txt"
    if not run.attempt or not file.exists() or not file.stat().st_size:
        return None
    copy = file.with_name("log-shown.txt")
    with file.open(errors="replace") as lines, copy.open("w") as out:
        out.writelines(map(redactor.text, without_tracebacks(lines)))
    return copy


def without_tracebacks(lines: Iterable[str]) -> Iterator[str]:
    """The lines of a log with each traceback reduced to the line that names its error."""
    is_inside = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            is_inside = True
        elif is_inside and (line[:1].isspace() or not line.strip()):
            continue
        else:
            is_inside = False
            yield line


def _tail(file: Path) -> str:
    with file.open(errors="replace") as lines:
        return "".join(deque(lines, TAIL_LINES))


async def find(context: Context, incoming: Incoming, run_id: str) -> Run | None:
    """A run that may be spoken of here; others are answered as if they were not there."""
    run = await context.database.read(engine.store.run, run_id)
    watch = await context.database.read(store.watch_of, run_id)
    if run is None or watch is None or not may_see(context, incoming, watch):
        await context.say(incoming.place, words.unknown(f"{incoming.key}/answer", run_id))
        return None
    return run
