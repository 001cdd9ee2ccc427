"""Answers about runs: how they stand, their logs, and ending them."""

from collections import deque
from pathlib import Path

import engine.store
from bot import store
from bot.chat import Incoming
from bot.redact import redactor
from bot.talk.access import check_may_end
from bot.talk.commands import Cancel, Logs, Show
from bot.talk.context import Context
from bot.wording import run as words
from engine.folder import RunFolder
from engine.jobs import Run

LISTED = 10
TAIL_LINES = 20


async def show(context: Context, incoming: Incoming, request: Show) -> None:
    key = f"{incoming.key}/answer"
    if not request.run:
        runs = await context.database.read(engine.store.recent_runs, LISTED)
        await context.say(incoming.place, words.listing(key, [context.shown(run) for run in runs]))
    elif run := await find(context, incoming, request.run):
        await context.say(incoming.place, words.listing(key, [context.shown(run)]))


async def cancel(context: Context, incoming: Incoming, request: Cancel) -> None:
    if run := await find(context, incoming, request.run):
        if not run.status.is_over:
            await check_may_end(context, incoming.person, run)
            await context.database.write(engine.store.ask_cancel, run.id, request.wants_save)
        await context.say(incoming.place, words.cancelling(f"{incoming.key}/answer", run))


async def logs(context: Context, incoming: Incoming, request: Logs) -> None:
    if run := await find(context, incoming, request.run):
        file = _log(context.settings.runs / run.id, run)
        tail = _tail(file) if file else ""
        await context.say(incoming.place, words.logs(f"{incoming.key}/answer", run.id, tail, file))


def _log(folder: Path, run: Run) -> Path | None:
    """A copy of the log that may be shown: libraries wrote it, so secrets are taken out."""
    file = RunFolder(folder).attempts / run.attempt / "log.txt"
    if not run.attempt or not file.exists() or not file.stat().st_size:
        return None
    copy = file.with_name("log-shown.txt")
    with file.open(errors="replace") as lines, copy.open("w") as out:
        out.writelines(map(redactor.text, lines))
    return copy


def _tail(file: Path) -> str:
    with file.open(errors="replace") as lines:
        return "".join(deque(lines, TAIL_LINES))


async def find(context: Context, incoming: Incoming, run_id: str) -> Run | None:
    """A run that belongs to this place's conversation; others are answered as if they were not there."""
    run = await context.database.read(engine.store.run, run_id)
    watch = await context.database.read(store.watch_of, run_id)
    if run is None or watch is None:
        await context.say(incoming.place, words.unknown(f"{incoming.key}/answer", run_id))
        return None
    return run
