"""Runs that start later, or again and again: asked for, shown in words, saved by a click, started when it is time.

A time that passed while the bot was away is made up for once, however many there were.
"""

from dataclasses import replace

import structlog
from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming, Person
from bot.store import Schedule
from bot.talk import timing
from bot.talk.context import Context
from bot.talk.finetune import check_limit
from bot.talk.runs import shown
from bot.team.access import check_may_start, is_admin, is_one_of
from bot.wording import help as help_words
from bot.wording import plan as plan_words
from bot.wording import schedule as words
from engine import fault
from engine.jobs import Run, Status
from engine.plan import calendar
from engine.refusal import Refusal

log = structlog.get_logger()


async def ask(context: Context, incoming: Incoming, request: timing.Schedule) -> None:
    """Show what it would do and when, with a button that saves it."""
    run = await shown.find(context, incoming, request.run)
    if run is None:
        return
    await check_may_start(context, incoming.person)
    when = calendar.parse(request.when, context.settings.time_zone)
    now = context.clock()
    next_at = calendar.next_after(when, now)
    if next_at is None:
        raise Refusal(f"That time does not come any more, or not within five years: {calendar.said(when)}.", "when")
    is_private = await context.chat.is_private(incoming.place)
    new = Schedule(incoming.key, run.id, incoming.place, incoming.person, is_private, when, next_at)
    await context.database.write(_ask, new, run, now)


def _ask(db: Connection, new: Schedule, run: Run, now: float) -> None:
    added = store.add_schedule(db, new)
    if added.state == "asked":
        store.say(db, new.place, words.asked(_key(added), added, run, now, _is_moved(added, run)))


def _is_moved(schedule: Schedule, run: Run) -> bool:
    """Whether it is that run itself that is to start later, since it is one's own and has not begun."""
    is_own = run.spec.requester == schedule.person.id
    return schedule.when.is_once and run.status is Status.queued and is_own


def _key(schedule: Schedule) -> str:
    return f"schedule/{schedule.id}"


async def save(context: Context, incoming: Incoming, schedule_id: str) -> None:
    """The click. A second one changes nothing; who clicks is whose runs these are."""
    await check_may_start(context, incoming.person)
    is_free = await is_admin(context, incoming.person)
    if not await context.database.write(_save, context, incoming, schedule_id, is_free):
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))


def _save(db: Connection, context: Context, incoming: Incoming, schedule_id: str, is_free: bool) -> bool:
    schedule = store.schedule(db, schedule_id) if engine.store.is_run_id(schedule_id) else None
    if schedule is None or schedule.state != "asked" or schedule.place != incoming.place:
        return False
    run, next_at = engine.store.run(db, schedule.run), calendar.next_after(schedule.when, context.clock())
    if run is None or next_at is None:
        raise Refusal("Its time has passed, or its run is no longer here: ask for a new schedule.")
    schedule = replace(schedule, person=incoming.person, next_at=next_at, state="active")
    if schedule.when.is_once:
        schedule = _hold(db, context, schedule, run, is_free)
    store.save_schedule(db, schedule)
    if said := store.said(db, _key(schedule)):
        done = f"Schedule {schedule.id}, saved by {incoming.person.name}"
        store.say(db, schedule.place, plan_words.taken(said, done))
    return True


def _hold(db: Connection, context: Context, schedule: Schedule, run: Run, is_free: bool) -> Schedule:
    """The one run of a schedule that happens once: it is there from now on, and waits."""
    reason = words.waits(schedule)
    if _is_moved(schedule, run):
        engine.store.save_run(db, replace(run, status=Status.waiting, reason=reason))
        return schedule
    spec = context.asked(run.spec, schedule.person, schedule.place)
    check_limit(db, context, spec, is_free=is_free)
    added = _add(db, schedule, replace(run, spec=spec), Status.waiting, reason, context.clock())
    return replace(schedule, run=added.id)


def _add(db: Connection, schedule: Schedule, old: Run, status: Status, reason: str, now: float) -> Run:
    """A run like the old one, told in the schedule's thread."""
    new = Run("", old.spec, status=status, reason=reason, of=old.id, queued_at=now, estimate_s=old.estimate_s)
    run = engine.store.add_run(db, new)
    store.watch(db, run.id, schedule.place, schedule.person, schedule.is_private)
    return run


async def show(context: Context, incoming: Incoming) -> None:
    found = await context.database.read(store.active_schedules)
    seen = [schedule for schedule in found if _may_see(context, incoming, schedule)]
    await context.say(incoming.place, words.listing(f"{incoming.key}/answer", seen))


def _may_see(context: Context, incoming: Incoming, schedule: Schedule) -> bool:
    """As with runs: in its thread, to whoever saved it, and in the team's channel unless its place is private."""
    is_team = incoming.place.id == context.settings.team_channel and not schedule.is_private
    return is_team or schedule.place == incoming.place or schedule.person.id == incoming.person.id


async def end(context: Context, incoming: Incoming, schedule_id: str) -> None:
    """Of `unschedule`, and of the button that discards one that was never saved."""
    key = f"{incoming.key}/answer"
    schedule = await context.database.read(_find, schedule_id)
    if schedule is None or not _may_see(context, incoming, schedule):
        await context.say(incoming.place, words.unknown(key, schedule_id))
        return
    await _check_may_end(context, incoming.person, schedule)
    await context.database.write(_end, incoming, schedule.id)


def _find(db: Connection, schedule_id: str) -> Schedule | None:
    return store.schedule(db, schedule_id) if engine.store.is_run_id(schedule_id) else None


async def _check_may_end(context: Context, person: Person, schedule: Schedule) -> None:
    named = f"{context.settings.may_end_others},{context.settings.admins}"
    is_own = schedule.person.id == person.id or context.settings.people_are_local
    if schedule.state == "active" and not is_own and not await is_one_of(context, person, named):
        raise Refusal(
            f"Schedule {schedule.id} is {schedule.person.name}'s; they can end it, an admin (ADMINS), or whom "
            "MAY_END_OTHERS names."
        )


def _end(db: Connection, incoming: Incoming, schedule_id: str) -> None:
    schedule = store.schedule(db, schedule_id)
    if schedule is None:
        return
    if schedule.state == "asked" and (said := store.said(db, _key(schedule))):
        store.say(db, schedule.place, plan_words.taken(said, f"Discarded by {incoming.person.name}"))
    else:
        store.say(db, incoming.place, words.ended(f"{incoming.key}/answer", schedule))
        if schedule.when.is_once and schedule.state == "active":
            engine.store.ask_cancel(db, schedule.run, save=False)
    store.save_schedule(db, replace(schedule, state="over"))


async def tick(context: Context) -> None:
    """Start what is due. One that cannot be started is tried again at the next tick, and silences no other."""
    now = context.clock()
    for schedule in await context.database.read(store.active_schedules):
        if schedule.next_at > now:
            return
        try:
            await _fire(context, schedule, now)
        except Refusal as refusal:
            await context.database.write(_pass_over, schedule, refusal.text, now)
        except Exception:
            log.exception("a schedule could not be followed", schedule=schedule.id)


async def _fire(context: Context, schedule: Schedule, now: float) -> None:
    """Whoever saved it must still be one who may; roles change."""
    await check_may_start(context, schedule.person)
    is_free = await is_admin(context, schedule.person)
    fault.point("schedule.due")
    await context.database.write(_start, context, schedule, is_free, now)
    fault.point("schedule.fired")


def _start(db: Connection, context: Context, schedule: Schedule, is_free: bool, now: float) -> None:
    """The run, the note of this time and the next time in one transaction."""
    if schedule != store.schedule(db, schedule.id):
        return
    run = engine.store.run(db, schedule.run)
    if run is None:
        raise Refusal(f"Run {schedule.run} is no longer here; `/finetune unschedule {schedule.id}` ends this schedule.")
    if schedule.when.is_once:
        if store.add_fire(db, schedule, run.id) and run.status is Status.waiting:
            engine.store.save_run(db, replace(run, status=Status.queued, reason=""))
    else:
        spec = context.asked(run.spec, schedule.person, schedule.place)
        check_limit(db, context, spec, is_free=is_free)
        added = _add(db, schedule, replace(run, spec=spec), Status.queued, "", now)
        if not store.add_fire(db, schedule, added.id):
            raise LookupError(f"schedule {schedule.id} has fired at {schedule.next_at} before")
        store.say(db, schedule.place, words.fired(schedule, added.id))
    _go_on(db, schedule, now)


def _pass_over(db: Connection, schedule: Schedule, why: str, now: float) -> None:
    """Nothing started this time: it is said, once, and the next time may do better."""
    if schedule != store.schedule(db, schedule.id):
        return
    store.add_fire(db, schedule, "")
    if schedule.when.is_once:
        engine.store.ask_cancel(db, schedule.run, save=False)
    store.say(db, schedule.place, words.not_fired(schedule, why))
    _go_on(db, schedule, now)


def _go_on(db: Connection, schedule: Schedule, now: float) -> None:
    next_at = None if schedule.when.is_once else calendar.next_after(schedule.when, now)
    changed = replace(schedule, state="over") if next_at is None else replace(schedule, next_at=next_at)
    store.save_schedule(db, changed)
