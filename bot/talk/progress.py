"""Keeps one living message for each run, posts one message at its end, and a card in the team's channel."""

from pathlib import Path

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Place
from bot.store import Watch
from bot.talk.context import Context
from bot.wording import run as words
from engine import fault
from engine.folder import RunFolder
from engine.jobs import Run


async def tick(context: Context) -> None:
    """Say how each run stands that was not told to its end. Saying the same again sends nothing."""
    if await context.database.read(store.watched):
        await context.database.write(_tell, context)
        fault.point("progress.told")


def _tell(db: Connection, context: Context) -> None:
    for watch in store.watched(db):
        run = engine.store.run(db, watch.run)
        if run is None:
            continue
        run = context.shown(run)
        store.say(db, watch.place, words.live(run, engine.store.position(db, run.id), context.clock()))
        if run.status.is_over:
            _tell_end(db, context, watch, run)


def _tell_end(db: Connection, context: Context, watch: Watch, run: Run) -> None:
    store.say(db, watch.place, words.final(run, watch.person, plot(context.settings.runs / run.id)))
    if context.settings.team_channel:
        store.say(db, Place(context.settings.team_channel), words.card(run, watch.person))
    store.told(db, run.id)


def plot(folder: Path) -> Path | None:
    """The picture of the loss that the training child left, if it did."""
    trained = RunFolder(folder).finished("train")
    picture = trained.folder / "loss.png" if trained else None
    return picture if picture and picture.exists() else None
