"""Who wants to hear of runs' ends besides who asked for them, and what the team hears in a week."""

from datetime import UTC, datetime

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming, Person, Place
from bot.store import Watch
from bot.talk.context import Context
from bot.talk.runs import shown
from bot.wording import team as words
from engine.jobs import Run

EVERYTHING = "*"
LOOKED_AT = 1000
WEEK_S = 7 * 86400.0
MONDAY, MORNING = 0, 8


async def subscribe(context: Context, incoming: Incoming, what: str) -> None:
    """`what` is a run, `all`, or `off`; empty says what this person hears of."""
    key = f"{incoming.key}/answer"
    if what not in ("", "all", "off") and await shown.find(context, incoming, what) is None:
        return
    wanted = await context.database.write(_subscribe, incoming.person, what)
    await context.say(incoming.place, words.subscribed(key, wanted, EVERYTHING))


def _subscribe(db: Connection, person: Person, what: str) -> list[str]:
    if what == "off":
        store.unsubscribe(db, person)
    elif what:
        store.subscribe(db, person, EVERYTHING if what == "all" else what)
    return store.subscriptions_of(db, person)


def tell_end(db: Connection, context: Context, watch: Watch, run: Run) -> None:
    """A card for the team, and for each who subscribed, by direct message. Of private places nobody else hears."""
    if watch.is_private:
        return
    if context.settings.team_channel:
        store.say(db, Place(context.settings.team_channel), words.card(f"run/{run.id}/card", run, watch.person))
    for person in store.subscribers(db, run.id, EVERYTHING):
        if person.id != watch.person.id:
            card = words.card(f"run/{run.id}/card/{person.id}", run, watch.person)
            store.say(db, Place(f"@{person.id}"), card)


async def digest(context: Context) -> None:
    """On Monday mornings, by UTC, once a week; a week without runs is not spoken of."""
    now = datetime.fromtimestamp(context.clock(), UTC)
    is_time = now.weekday() == MONDAY and now.hour >= MORNING
    if is_time and context.settings.team_channel and context.settings.weekly_digest:
        await context.database.write(_digest, context, f"digest/{now:%G-W%V}")


def _digest(db: Connection, context: Context, key: str) -> None:
    if store.said(db, key):
        return
    since = context.clock() - WEEK_S
    ended = [run for run in engine.store.recent_runs(db, LOOKED_AT) if run.status.is_over and run.ended_at >= since]
    watches = {run.id: store.watch_of(db, run.id) for run in ended}
    told = [(run, watch) for run in ended if (watch := watches[run.id]) and not watch.is_private]
    if told:
        store.say(db, Place(context.settings.team_channel), words.digest(key, told, len(ended) - len(told)))
