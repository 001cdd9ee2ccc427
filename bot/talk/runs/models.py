"""The models that the team has made, as far as whoever asks may know of them."""

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming
from bot.talk.commands import Models
from bot.talk.context import Context
from bot.wording import models as words
from engine.jobs import Run, Status

LISTED = 20
LOOKED_AT = 500


async def show(context: Context, incoming: Incoming, request: Models) -> None:
    if request.are_bases:
        await context.say(incoming.place, words.on_offer(f"{incoming.key}/answer", context.settings.allowed_models))
        return
    runs = await context.database.read(_made, context, incoming)
    await context.say(incoming.place, words.listing(f"{incoming.key}/answer", [context.shown(run) for run in runs]))


def _made(db: Connection, context: Context, incoming: Incoming) -> list[Run]:
    """The latest runs that left a model: one's own, and those whose end the team was told of."""
    made = (run for run in engine.store.recent_runs(db, LOOKED_AT) if run.status is Status.succeeded)
    return [run for run in made if may_know(db, context, incoming, run)][:LISTED]


def may_know(db: Connection, context: Context, incoming: Incoming, run: Run) -> bool:
    watch = store.watch_of(db, run.id)
    is_told = bool(context.settings.team_channel) and watch is not None and not watch.is_private
    return is_told or run.spec.requester == incoming.person.id
