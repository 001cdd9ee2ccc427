"""Who may no longer start runs has none started: asked again while a run waits in the queue, since roles change."""

import structlog
from sqlalchemy import Connection

import engine.store
from bot import store
from bot.store import Watch
from bot.talk.context import Context
from bot.team.access import check_may_start
from bot.wording import run as words
from engine.jobs import Run, Status
from engine.refusal import Refusal

log = structlog.get_logger()


async def tick(context: Context) -> None:
    """A platform that does not answer takes nobody's rights."""
    if not context.settings.may_start:
        return
    for run, watch in await context.database.read(_queued):
        try:
            await check_may_start(context, watch.person)
        except Refusal as refusal:
            await context.database.write(_cancel, watch, refusal.text)
        except Exception:
            log.exception("it could not be asked who may start runs", run=run.id)


def _queued(db: Connection) -> list[tuple[Run, Watch]]:
    queued = [run for run in engine.store.open_runs(db) if run.status is Status.queued]
    return [(run, watch) for run in queued if (watch := store.watch_of(db, run.id))]


def _cancel(db: Connection, watch: Watch, why: str) -> None:
    run = engine.store.run(db, watch.run)
    if run and run.status is Status.queued and engine.store.ask_cancel(db, run.id, save=False):
        store.say(db, watch.place, words.revoked(run, watch.person, why))
