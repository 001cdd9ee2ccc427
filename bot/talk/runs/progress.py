"""Keeps one living message for each run, posts one at its end and a card for the team, and clears up after it."""

import asyncio
from pathlib import Path

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

import engine.store
from bot import children, store
from bot.chat import Message
from bot.store import Watch
from bot.talk.context import Context
from bot.talk.runs import lora
from bot.team import notices
from bot.wording import run as words
from engine import fault
from engine.folder import CLAIM, RunFolder
from engine.jobs import Run, Status
from engine.lease import Lost
from engine.refusal import Refusal

log = structlog.get_logger()
RELEASE_S = 60.0


async def tick(context: Context) -> None:
    """Say how each run stands that was not told to its end. Saying the same again sends nothing."""
    for watch in await context.database.read(store.watched):
        try:
            await lora.pack(context, watch.run)
            await context.database.write(_tell, context, watch)
        except (SQLAlchemyError, Lost):
            raise  # the database is at fault, not the run
        except Exception:
            log.exception("a run could not be told", run=watch.run)
        fault.point("progress.told")


def _tell(db: Connection, context: Context, watch: Watch) -> None:
    run = engine.store.run(db, watch.run)
    if run is None:
        return
    run = context.shown(run)
    store.say(db, watch.place, _living(db, context, run))
    if waits := words.kept(run, watch.person):
        store.say(db, watch.place, waits)
    if run.status.is_over:
        _tell_end(db, context, watch, run)


def _living(db: Connection, context: Context, run: Run) -> Message:
    """With when a run that waits is likely to start."""
    now = context.clock()
    if run.status is not Status.queued:
        return words.live(run, 0, now)
    waits = engine.store.starts(engine.store.in_turn(db), len(context.slots()) or 1, now)
    return words.live(run, engine.store.position(db, run.id), now, waits.get(run.id))


def _tell_end(db: Connection, context: Context, watch: Watch, run: Run) -> None:
    folder = context.settings.runs / run.id
    end = words.final(run, watch.person, plot(folder), config(folder))
    store.say(db, watch.place, lora.with_lora(end, run, folder))
    notices.tell_end(db, context, watch, run)
    store.told(db, run.id)


def plot(folder: Path) -> Path | None:
    """The picture of the loss that the training child left, if it did."""
    trained = RunFolder(folder).finished("train")
    picture = trained.folder / "loss.png" if trained else None
    return picture if picture and picture.exists() else None


def config(folder: Path) -> Path | None:
    """The effective settings as a file, of a run that was begun."""
    path = RunFolder(folder).config
    return path if path.exists() else None


async def release_leftovers(context: Context) -> None:
    """Remove the empty repos of runs that came to nothing; what fails is tried again at the next tick."""
    if not context.settings.can_push:
        return
    for folder in await asyncio.to_thread(_claimed, context.settings.runs):
        run = await context.database.read(engine.store.run, folder.name)
        if run is not None and run.status.is_over:
            await _release(context, folder)


def _claimed(runs: Path) -> list[Path]:
    """The folders of the runs for which a repo was made that has no model yet."""
    return sorted(path.parent for path in runs.glob(f"*/{CLAIM}"))


async def _release(context: Context, folder: Path) -> None:
    environment = context.settings.hub_environment()
    try:
        await children.ask("release", str(folder), timeout_s=RELEASE_S, environment=environment)
    except Refusal:
        return  # it is in the log, and the next tick asks again
