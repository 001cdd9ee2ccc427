"""One thing that somebody did → what the bot does about it."""

from collections.abc import Mapping

import structlog

from bot.chat import Command, Incoming, Press, Upload
from bot.talk import changing, finetune, timing, trying
from bot.talk.commands import (
    Audit,
    Cancel,
    Example,
    Forget,
    Help,
    Logs,
    Models,
    Notify,
    Pasted,
    Plan,
    Push,
    Queue,
    Resume,
    Retry,
    Show,
)
from bot.talk.context import Context
from bot.talk.datasets import cutting, reports
from bot.talk.datasets.asked import Check
from bot.talk.runs import ask, compare, mending, models, rejected, repeats, schedules, shown
from bot.team import approval, audit, forget, notices
from bot.team.access import check_may_talk
from bot.wording import help as words
from engine.refusal import Refusal

log = structlog.get_logger()


async def answer(context: Context, incoming: Incoming) -> None:
    """Always ends with an answer in the thread: what was asked for, what to mend, or that it is the bot's fault."""
    try:
        await check_may_talk(context, incoming)
    except Refusal as refusal:
        minute = int(context.clock() // 60)
        who = incoming.person
        await context.say(incoming.place, words.turned_away(f"turned-away/{who.id}/{minute}", refusal, who))
        return
    try:
        await _answer(context, incoming)
        outcome = "done"
    except Refusal as refusal:
        await context.say(incoming.place, words.refusal(f"{incoming.key}/answer", refusal))
        outcome = f"refused: {refusal.text}"
    except Exception:
        log.exception("no answer", key=incoming.key)
        await context.say(incoming.place, words.broken(f"{incoming.key}/answer"))
        outcome = "failed"
    await audit.note(context, incoming, outcome)


async def _answer(context: Context, incoming: Incoming) -> None:
    match incoming.what:
        case Upload() as upload:
            await reports.file_dropped(context, incoming, upload)
        case Command(text):
            await _command(context, incoming, text)
        case Press(action):
            await _press(context, incoming, *action.split(":", 2))


async def _command(context: Context, incoming: Incoming, text: str) -> None:
    match await ask.understood(context, incoming, text):
        case Plan() as request:
            await finetune.plan(context, incoming, request)
        case Check() as request:
            await reports.something_asked(context, incoming, request)
        case Show() as request:
            await shown.show(context, incoming, request)
        case Queue():
            await shown.queue(context, incoming)
        case Models() as request:
            await models.show(context, incoming, request)
        case Cancel() as request:
            await shown.cancel(context, incoming, request)
        case Resume() as request:
            await repeats.resume(context, incoming, request)
        case Retry() as request:
            await repeats.retry(context, incoming, request)
        case Push() as request:
            await repeats.push(context, incoming, request)
        case trying.Ask() as request:
            await ask.ask(context, incoming, request)
        case trying.Compare() as request:
            await compare.compare(context, incoming, request)
        case Logs() as request:
            await shown.logs(context, incoming, request)
        case timing.Schedule() as request:
            await schedules.ask(context, incoming, request)
        case timing.Schedules():
            await schedules.show(context, incoming)
        case timing.Unschedule(schedule_id):
            await schedules.end(context, incoming, schedule_id)
        case Audit():
            await audit.show(context, incoming)
        case Notify(what):
            await notices.subscribe(context, incoming, what)
        case Forget(what):
            await forget.forget(context, incoming, what)
        case Example(method):
            await reports.example(context, incoming, method)
        case Pasted():
            await context.say(incoming.place, words.pasted(f"{incoming.key}/answer", incoming.person))
        case Help(word):
            key = f"{incoming.key}/answer"
            await context.say(incoming.place, words.term(key, word) if word else words.overview(key))


async def _press(context: Context, incoming: Incoming, what: str, subject: str, detail: str = "") -> None:
    """The actions that the wording puts on buttons."""
    match what:
        case "start":
            await finetune.start(context, incoming, subject)
        case "approval":
            await approval.ask(context, incoming, subject)
        case "approve" | "decline":
            await approval.decide(context, incoming, subject, is_approved=what == "approve")
        case "drop":
            await finetune.drop(context, incoming, subject)
        case "again":
            await finetune.again(context, incoming, subject, detail)
        case "settings":
            await changing.settings(context, incoming, subject)
        case "plan":
            await finetune.plan(context, incoming, Plan(detail, file=subject))
        case "fix":
            await reports.fix(context, incoming, subject, detail)
        case "cut":
            await cutting.cut(context, incoming, subject)
        case "fill":
            await reports.fill(context, incoming, subject, _values(incoming))
        case "columns":
            await reports.choose_columns(context, incoming, subject, _values(incoming))
        case "ignore":
            await reports.ignore(context, incoming, subject)
        case "pair":
            await reports.plan_pair(context, incoming, subject, detail)
        case "use":
            await reports.use_example(context, incoming, subject)
        case "why":
            await reports.explain(context, incoming, subject)
        case "rows":
            await rejected.show(context, incoming, subject)
        case "mend":
            await mending.mend(context, incoming, subject, detail)
        case "schedule":
            await schedules.save(context, incoming, subject)
        case "unschedule":
            await schedules.end(context, incoming, subject)
        case "resume":
            await repeats.resume(context, incoming, Resume(subject))
        case "retry":
            await repeats.retry(context, incoming, Retry(subject))
        case "push":
            await repeats.push(context, incoming, Push(subject))
        case "both":
            await compare.ask_both(context, incoming, subject, detail)
        case "ask":
            await ask.pressed(context, incoming, subject, detail)
        case "cancel":
            await shown.cancel(context, incoming, Cancel(subject))
        case "example":
            await reports.example(context, incoming, subject)
        case _:
            raise Refusal("That button is from an older version of me; ask again with /finetune.")


def _values(incoming: Incoming) -> Mapping[str, str]:
    """What the form behind the pressed button came back with."""
    return incoming.what.values if isinstance(incoming.what, Press) else {}
