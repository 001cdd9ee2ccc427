"""Trying a model in the thread: questions to it and to its base, and what comes of them."""

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming, Place, Press
from bot.talk import commands
from bot.talk.commands import Request
from bot.talk.context import Context
from bot.talk.runs import compare, shown
from bot.talk.trying import Ask
from bot.team.access import check_may_start
from bot.wording import ask as words
from engine.jobs import Run
from engine.refusal import Refusal
from engine.work.asking import questions
from engine.work.asking.questions import Question

MOST_CHARACTERS = 4_000
MOST_WAITING = 5
"""How many questions of one thread may wait for their answers."""


async def understood(context: Context, incoming: Incoming, text: str) -> Request:
    """What somebody means. While a model is asked in a thread, words that are no command are a question to it."""
    try:
        return commands.parse(text)
    except Refusal as refusal:
        run = await context.database.read(questions.asked_in, incoming.place.id) if refusal.field == "method" else ""
        if not run:
            raise
        return Ask(run, text.strip())


async def pressed(context: Context, incoming: Incoming, run_id: str, other: str = "") -> None:
    """The button under a model, and the form behind it where the platform has one; with `other` two runs are asked."""
    values = incoming.what.values if isinstance(incoming.what, Press) else {}
    question = values.get("question", "").strip()
    await ask(context, incoming, Ask(run_id, question))
    if other and question:
        await ask(context, incoming, Ask(other, question), "answer-2")


async def ask(context: Context, incoming: Incoming, request: Ask, name: str = "answer") -> None:
    """Put a question, or have the model loaded. Raises Refusal where there is no model to ask."""
    if len(request.question) > MOST_CHARACTERS:
        raise Refusal(f"A question may have {MOST_CHARACTERS:,} characters; this one has {len(request.question):,}.")
    run_id = request.run or await _run_of(context, incoming)
    run = await shown.find(context, incoming, run_id)
    if run is None:
        return
    if run.done not in ("train", "push"):
        raise Refusal(f"Run {run.id} has no trained model to ask: it is {run.status}.", "run")
    await check_may_start(context, incoming.person)
    question = Question(f"{incoming.key}/{name}", run.id, incoming.place.id, request.question, context.clock())
    await context.database.write(_put, question)


def _put(db: Connection, question: Question) -> None:
    waiting = [
        other for other in questions.at_work(db) if other.place == question.place and other.text and not other.group
    ]
    if len(waiting) >= MOST_WAITING and all(other.key != question.key for other in waiting):
        raise Refusal(f"{len(waiting)} questions wait for their answers in this thread already.")
    questions.put(db, question)


async def _run_of(context: Context, incoming: Incoming) -> str:
    """The run that is asked in this thread, or the last one that was trained for it."""
    run = await context.database.read(questions.asked_in, incoming.place.id)
    run = run or await context.database.read(_last_trained, incoming.place)
    if not run:
        raise Refusal("No model was trained in this thread yet. `/finetune ask 7 …` asks that of run 7.", "run")
    return run


def _last_trained(db: Connection, place: Place) -> str:
    for run in engine.store.recent_runs(db, shown.LOOKED_AT):
        watch = store.watch_of(db, run.id)
        if watch and watch.place == place and run.done in ("train", "push"):
            return run.id
    return ""


async def tick(context: Context) -> None:
    """Say how each question stands that changed since it was told."""
    for question in await context.database.read(questions.untold):
        await context.database.write(_tell, context, question)


def _tell(db: Connection, context: Context, question: Question) -> None:
    run: Run | None = engine.store.run(db, question.run)
    if run and question.group:
        compare.tell(db, context, question)
    elif run:
        store.say(db, Place(question.place), words.asked(run, question))
    questions.told(db, question)
