"""Once more: a run that ended is gone on with, repeated or pushed by a new run that names it."""

from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming
from bot.talk import destination
from bot.talk.commands import Plan, Push, Resume, Retry
from bot.talk.context import Context
from bot.talk.finetune import check_limit
from bot.talk.runs import shown
from bot.team.access import approvers, check_may_start, is_admin
from bot.team.approval import NeedsApproval
from bot.wording import run as words
from bot.wording import team as team_words
from engine.folder import RunFolder
from engine.jobs import JobSpec, Run, Status
from engine.plan import parameters
from engine.refusal import Refusal


async def resume(context: Context, incoming: Incoming, request: Resume) -> None:
    if run := await _ended(context, incoming, request.run):
        if run.status is Status.succeeded or run.done == "train":
            raise Refusal(f"Run {run.id} was trained to its end. `/finetune retry {run.id}` trains it once more.")
        if not any(RunFolder(context.settings.runs / run.id).checkpoints.glob("checkpoint-*")):
            raise Refusal(f"Run {run.id} left no checkpoint. `/finetune retry {run.id}` begins anew.")
        await queue(context, incoming, replace(_anew(run, run.spec), resumes=True))


async def retry(context: Context, incoming: Incoming, request: Retry) -> None:
    if run := await _ended(context, incoming, request.run):
        await queue(context, incoming, _anew(run, changed(run.spec, request.options)))


def changed(spec: JobSpec, options: Mapping[str, str]) -> JobSpec:
    """The spec with some parameters changed. Raises Refusal for what cannot be set, the data and the model included."""
    for name in ("model", "file", "valid"):
        if name in options:
            raise Refusal(f"A retry keeps its {name}; ask for a new run with `/finetune {spec.method} {name}=…`.", name)
    return replace(spec, parameters={**spec.parameters, **parameters.parse(options, spec.method)})


async def push(context: Context, incoming: Incoming, request: Push) -> None:
    """Wake a run whose push was refused or waits for the Hub; of one that ended, a new run pushes it."""
    run = await shown.find(context, incoming, request.run)
    if run is None:
        return
    if run.status is Status.succeeded and not run.spec.target.repo:
        run = _with_target(context, run)
    if not run.spec.target.repo:
        raise Refusal(
            "No Hub token and namespace are set, so the model stays on this server: set HF_TOKEN, HF_NAMESPACE."
        )
    if (run.held_at or run.due_at) and not run.status.is_over:
        await check_may_start(context, incoming.person)
        await context.database.write(engine.store.wake, run.id)
        await context.say(incoming.place, words.pushing_again(f"{incoming.key}/answer", run))
    elif not run.status.is_over:
        raise Refusal(f"Run {run.id} is {run.status}: its model is pushed by itself once it is trained.")
    elif run.status is Status.succeeded and run.done == "push":
        raise Refusal(
            f"The model of run {run.id} is on the Hub already: {context.shown(run).result.url or run.result.repo}"
        )
    elif run.done != "train":
        raise Refusal(f"Run {run.id} was not trained to its end, so there is no model to push.")
    else:
        trained = replace(_anew(run, run.spec), status=Status.trained, done="train", result=run.result)
        await queue(context, incoming, trained)


def _with_target(context: Context, run: Run) -> Run:
    """A run whose model stayed here, as no token was set then, with the repo that it may go to now."""
    target = destination.target(context, Plan(run.spec.method), run.spec.train.name)
    return replace(run, spec=replace(run.spec, target=target))


async def _ended(context: Context, incoming: Incoming, run_id: str) -> Run | None:
    """A run that is over. Raises Refusal for one that is not."""
    run = await shown.find(context, incoming, run_id)
    if run and not run.status.is_over:
        raise Refusal(f"Run {run.id} is not over: it is {run.status}. `/finetune cancel {run.id}` ends it.")
    return run


def _anew(run: Run, spec: JobSpec) -> Run:
    return Run("", spec, of=run.id, estimate_s=run.estimate_s)


async def queue(context: Context, incoming: Incoming, new: Run) -> None:
    """What is over a person's quotas may be asked for; what a run costs was said when the old one was planned."""
    await check_may_start(context, incoming.person)
    is_free = new.done == "train" or await is_admin(context, incoming.person)
    is_private = await context.chat.is_private(incoming.place)
    try:
        await context.database.write(_store, context, incoming, new, is_free, is_private)
    except NeedsApproval as refusal:
        who = await approvers(context, incoming.person)
        await context.database.write(_draft, context, incoming, new, refusal, who)


def _draft(db: Connection, context: Context, incoming: Incoming, new: Run, refusal: Refusal, who: list[str]) -> None:
    """What stands against it, with the button that asks for it all the same."""
    key, draft_id = f"{incoming.key}/answer", store.draft_id(incoming.key)
    spec = replace(new.spec, group=incoming.place.id, channel=context.chat.channel(incoming.place))
    request = Plan(spec.method, of=new.of, resumes=new.resumes)
    store.add_draft(
        db, incoming.place, store.Draft(draft_id, key, request, spec, new.estimate_s / 3600), context.clock()
    )
    store.say(db, incoming.place, team_words.over(key, refusal, draft_id, who))


def _store(db: Connection, context: Context, incoming: Incoming, new: Run, is_free: bool, is_private: bool) -> None:
    if store.said(db, f"{incoming.key}/answer"):
        return  # it was answered before a crash, and only that was not noted
    spec = context.asked(new.spec, incoming.person, incoming.place)
    check_limit(db, context, spec, is_free=is_free)
    run = engine.store.add_run(db, replace(new, spec=spec, queued_at=context.clock()))
    store.watch(db, run.id, incoming.place, incoming.person, is_private)
    store.say(db, incoming.place, words.queued_again(f"{incoming.key}/answer", run))
