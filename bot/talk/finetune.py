"""From a file to a run: the draft that shows what it would be, and the click that queues it."""

import asyncio
from dataclasses import replace

import msgspec
import structlog
from sqlalchemy import Connection

import engine.store
from bot import children, store
from bot.chat import Incoming, Message
from bot.store import Draft, ThreadFile
from bot.talk import bases, destination
from bot.talk.commands import Plan
from bot.talk.context import Context
from bot.talk.datasets import uploads
from bot.talk.patience import patience
from bot.team import quota
from bot.team.access import approvers, check_may_start, is_admin
from bot.team.approval import NeedsApproval
from bot.wording import help as help_words
from bot.wording import plan as words
from bot.wording import team as team_words
from engine.data.types import Preview
from engine.hub.datasets.words import is_words
from engine.jobs import JobSpec, Model, Source, Target
from engine.work.config import to_yaml

log = structlog.get_logger()
PREVIEW_S = 120.0


async def plan(context: Context, incoming: Incoming, request: Plan, old: Draft | None = None) -> None:
    """Show what the run would be, with a button that queues it. An `old` draft is replaced, in its message."""
    if not await context.database.read(store.files, incoming.place) and not request.file:
        text = " ".join([request.method, *map(_quoted, (*_words(request), *_besides(request)))])
        await context.database.write(store.set_pending, incoming.place, text)
        await context.say(incoming.place, help_words.no_file(f"{incoming.key}/answer", request.method))
        return
    if old:
        await _plan(context, incoming, request, old)
        return
    waiting = words.planning(f"draft/{store.draft_id(incoming.key)}", request.method)
    async with patience(context, incoming, waiting, f"{request.method} could not be planned; why stands below."):
        await _plan(context, incoming, request, None)


async def _plan(context: Context, incoming: Incoming, request: Plan, old: Draft | None) -> None:
    file = await uploads.wanted(context, incoming, request.file)
    valid = await _valid_file(context, incoming, request)
    target = destination.target(context, request, file.name)
    basis = await bases.of_plan(context, incoming, request)
    preview, doubt = await asyncio.gather(
        preview_of(context, file.sha256, request, basis, valid), destination.check(context, target)
    )
    draft_id = store.draft_id(incoming.key)
    spec = _spec(context, incoming, request, file, valid, preview, target, basis.folder)
    hours = preview.estimate.seconds / 3600
    doubt = " ".join(filter(None, (doubt, destination.price(context, request, preview.estimate.seconds))))
    place = old.message if old else f"draft/{draft_id}"
    draft = Draft(draft_id, place, replace(request, file=file.sha256), spec, hours)
    chosen = context.settings
    kept = words.kept(chosen.keep_datasets_days, chosen.keep_checkpoints_days, chosen.keep_outputs_days)
    message = words.plan(draft.message, draft_id, preview, file.name, spec.target, doubt, kept)
    if not await context.database.write(_show, context, incoming, draft, message, old):
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))


def _show(
    db: Connection, context: Context, incoming: Incoming, draft: Draft, message: Message, old: Draft | None
) -> bool:
    """Draft and message together; False if somebody answered the old draft meanwhile."""
    if old and store.take_draft(db, old.id, incoming.place) is None:
        return False
    store.add_draft(db, incoming.place, draft, context.clock())
    store.say(db, incoming.place, message)
    return True


async def _valid_file(context: Context, incoming: Incoming, request: Plan) -> ThreadFile | None:
    """The file of the thread or the dataset of the Hub that `valid=` names, if it names one."""
    word = request.options.get("valid", "")
    if is_words(word):
        return await uploads.wanted(context, incoming, word)
    return await uploads.find(context, incoming.place, word) if "." in word and not word.endswith("%") else None


async def preview_of(
    context: Context,
    sha256: str,
    request: Plan,
    basis: bases.Basis,
    valid: ThreadFile | None = None,
    is_quick: bool = False,
) -> Preview:
    """Ask the engine what the run would be; `is_quick` tells the tokens from some rows. Raises Refusal for whatever
    stands against it."""
    home = context.settings.uploads / sha256
    words_ = ["preview", str(home), "--method", request.method, *_words(request)]
    words_ += ["--model", basis.word] if basis.word else []
    words_ += ["--slot", slot] if (slot := bases.slot(context, request)) else []
    words_ += ["--quick"] if is_quick else []
    if valid:
        words_ += ["--valid", str(context.settings.uploads / valid.sha256)]
    environment = context.settings.hub_environment()
    if (request.where or context.settings.executors[0]) == "local":
        environment["TRAIN_PYTHON"] = context.settings.python
    answer = await children.ask(*words_, timeout_s=PREVIEW_S, environment=environment)
    return msgspec.convert(answer.values, Preview, strict=False)


def _words(request: Plan) -> list[str]:
    """The request's options and columns as `name=value` words."""
    return [f"{name}={value}" for name, value in {**request.columns, **request.options}.items()]


def _quoted(word: str) -> str:
    """A word as it can be read again: a value with spaces stands in double quotes."""
    name, _, value = word.partition("=")
    return f'{name}="{value}"' if " " in value else word


def _besides(request: Plan) -> list[str]:
    """What else was asked for, as the words that ask for it."""
    named = {"model": request.model, "repo": request.repo, "push": request.push.removeprefix("on"), "on": request.where}
    return [f"{name}={value}" for name, value in named.items() if value]


def _spec(
    context: Context,
    incoming: Incoming,
    request: Plan,
    file: ThreadFile,
    valid: ThreadFile | None,
    preview: Preview,
    target: Target,
    folder: str,
) -> JobSpec:
    """`folder` is where the base model lies, if it lies here."""
    parameters = {name: setting.value for name, setting in preview.parameters.items()}
    source = Source(file.name, file.sha256, preview.mapping, bool(parameters.get("unescape")), preview.as_conversation)
    return JobSpec(
        method=request.method,
        model=Model(preview.model, preview.revision, folder, preview.base_run),
        train=source,
        valid=replace(source, name=valid.name, sha256=valid.sha256) if valid else None,
        parameters=parameters,
        target=target,
        requester=incoming.person.id,
        group=incoming.place.id,
        channel=context.chat.channel(incoming.place),
        executor=destination.executor(context, request),
    )


async def start(context: Context, incoming: Incoming, draft_id: str) -> None:
    """Queue the run of a draft. A second press finds the draft taken and changes nothing.

    What stands against it is said with a button that asks a second person.
    """
    await check_may_start(context, incoming.person)
    is_free = await is_admin(context, incoming.person)
    is_private = await context.chat.is_private(incoming.place)
    try:
        started = await context.database.write(_start, context, incoming, draft_id, is_free, is_private)
    except NeedsApproval as refusal:
        who = await approvers(context, incoming.person)
        await context.say(incoming.place, team_words.over(f"{incoming.key}/answer", refusal, draft_id, who))
        return
    if started:
        log.info("run queued", run=started)
    else:
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))


def _start(db: Connection, context: Context, incoming: Incoming, draft_id: str, is_free: bool, is_private: bool) -> str:
    """The run's id; empty where the draft was taken. `is_free` people have no quotas.

    Raises NeedsApproval, and the draft stays.
    """
    draft = store.take_draft(db, draft_id, incoming.place)
    if draft is None:
        return ""
    spec = context.asked(draft.spec, incoming.person, incoming.place)
    check_limit(db, context, spec, draft.hours, is_free)
    run = engine.store.queue_run(db, spec, context.clock(), draft.hours * 3600)
    store.watch(db, run.id, incoming.place, incoming.person, is_private)
    _settle(db, incoming, draft, f"Run {run.id}, started by {incoming.person.name}", to_yaml(spec))
    return run.id


def check_limit(db: Connection, context: Context, spec: JobSpec, hours: float = 0.0, is_free: bool = False) -> None:
    """Raises NeedsApproval for what is over a person's or a channel's quotas, or costs more than one decides alone."""
    settings = context.settings
    quotas = quota.cost(settings, hours) if is_free else quota.over(db, settings, spec, hours, context.clock())
    if quotas:
        raise NeedsApproval(quotas)


def _settle(db: Connection, incoming: Incoming, draft: Draft, outcome: str, settings: str = "") -> None:
    """Leave a draft's message standing under its outcome, with the settings of the run that it became."""
    if said := store.said(db, draft.message):
        store.say(db, incoming.place, words.taken(said, outcome, settings))


async def drop(context: Context, incoming: Incoming, draft_id: str) -> None:
    """Discard a draft."""
    if not await context.database.write(_drop, incoming, draft_id):
        await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))


def _drop(db: Connection, incoming: Incoming, draft_id: str) -> bool:
    draft = store.take_draft(db, draft_id, incoming.place)
    if draft:
        _settle(db, incoming, draft, f"Discarded by {incoming.person.name}")
    return draft is not None


async def again(context: Context, incoming: Incoming, draft_id: str, option: str) -> None:
    """Plan a draft anew with one option changed, in the same message."""
    draft = await context.database.read(store.draft, draft_id, incoming.place)
    if draft is None:
        if not await context.database.read(store.draft, store.draft_id(incoming.key), incoming.place):
            await context.say(incoming.place, help_words.not_mine(f"{incoming.key}/answer"))
        return  # else it was planned before a crash, and only that was not noted
    name, _, value = option.partition("=")
    request = replace(draft.request, options={**draft.request.options, name: value})
    await plan(context, incoming, request, draft)
