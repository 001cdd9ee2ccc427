"""A run that a second person has to approve: asked for, approved or declined, once."""

from dataclasses import replace

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming, Person, Place
from bot.store import Approval
from bot.talk.context import Context
from bot.team.access import approvers, check_may_approve, check_may_start
from bot.wording import help as help_words
from bot.wording import plan as plan_words
from bot.wording import team as words
from engine.jobs import Run, Status
from engine.refusal import Refusal


class NeedsApproval(Refusal):
    """What stands against a run that a second person may still approve."""


async def ask(context: Context, incoming: Incoming, draft_id: str) -> None:
    """Make a draft a run that waits for somebody's approval, and say so where approvers read."""
    await check_may_start(context, incoming.person)
    is_private = await context.chat.is_private(incoming.place)
    who = await approvers(context, incoming.person)
    if not await context.database.write(_ask, context, incoming, draft_id, is_private, who):
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))


def _ask(db: Connection, context: Context, incoming: Incoming, draft_id: str, is_private: bool, who: list[str]) -> bool:
    draft = store.take_draft(db, draft_id, incoming.place)
    if draft is None:
        return False
    spec = replace(draft.spec, requester=incoming.person.id)
    waiting = Run("", spec, status=Status.waiting, reason=words.WAITS, queued_at=context.clock())
    asked = draft.request
    run = engine.store.add_run(db, replace(waiting, of=asked.of, resumes=asked.resumes))
    store.watch(db, run.id, incoming.place, incoming.person, is_private)
    store.add_approval(db, Approval(run.id, draft.hours))
    if said := store.said(db, draft.message):
        store.say(db, incoming.place, plan_words.taken(said, f"Run {run.id} waits for approval"))
    for place in places(context, incoming.place, is_private):
        store.say(db, place, words.request(_key(run.id, place), run, incoming.person, draft.hours, who))
    return True


def places(context: Context, place: Place, is_private: bool) -> list[Place]:
    """Where the request is read: the run's thread, and the team's channel unless that thread is private."""
    team = context.settings.team_channel
    return [place, Place(team)] if team and not is_private and team != place.id else [place]


def _key(run: str, place: Place) -> str:
    return f"run/{run}/approval/{place.id}"


async def decide(context: Context, incoming: Incoming, run_id: str, is_approved: bool) -> None:
    """Raises Refusal for who may not; a second decision changes nothing."""
    run = await context.database.read(engine.store.run, run_id)
    if run is None or not await context.database.read(store.is_awaited, run_id):
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))
        return
    await check_may_approve(context, incoming.person, run)
    await context.database.write(_decide, context, incoming.person, run_id, is_approved)


def _decide(db: Connection, context: Context, by: Person, run_id: str, is_approved: bool) -> None:
    run, watch = engine.store.run(db, run_id), store.watch_of(db, run_id)
    if run is None or watch is None or not store.take_approval(db, run_id, by, is_approved, context.clock()):
        return
    if run.status is Status.waiting:
        engine.store.save_run(db, words.decided_run(run, by, is_approved, context.clock()))
    for place in places(context, watch.place, watch.is_private):
        if said := store.said(db, _key(run_id, place)):
            store.say(db, place, words.decided(said, by, is_approved))
    if is_approved:
        store.say(db, watch.place, words.approved(run, by, watch.person))
