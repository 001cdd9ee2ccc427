"""Two runs side by side, and the same prompts put to both where they were asked none in common."""

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming, Place
from bot.talk.context import Context
from bot.talk.runs import shown
from bot.talk.trying import Compare
from bot.team.access import check_may_start
from bot.wording import ask as words
from engine.refusal import Refusal
from engine.work.asking import questions
from engine.work.asking.questions import Question


async def compare(context: Context, incoming: Incoming, request: Compare) -> None:
    left, right = [await shown.find(context, incoming, run) for run in request.runs]
    if left and right:
        key = f"{incoming.key}/answer"
        await context.say(incoming.place, words.compared(key, context.shown(left), context.shown(right)))


async def ask_both(context: Context, incoming: Incoming, left_id: str, right_id: str) -> None:
    """Put prompts of either run to both; the table of the two fills as they are answered. Raises Refusal."""
    left, right = [await shown.find(context, incoming, run) for run in (left_id, right_id)]
    if left is None or right is None:
        return
    if any(run.done not in ("train", "push") for run in (left, right)):
        raise Refusal("Both runs need a trained model to be asked.", "run")
    prompts = words.same_prompts(left, right)
    if not prompts:
        raise Refusal("These two have no prompts that both could answer.", "run")
    await check_may_start(context, incoming.person)
    group = f"{incoming.key}/answer"
    named = [(run.id, number, text) for run in (left, right) for number, text in enumerate(prompts)]
    asked = [
        Question(f"{group}/{run}/{number}", run, incoming.place.id, text, context.clock(), group=group)
        for run, number, text in named
    ]
    await context.database.write(_put, asked)


def _put(db: Connection, asked: list[Question]) -> None:
    for question in asked:
        questions.put(db, question)


def tell(db: Connection, context: Context, question: Question) -> None:
    """The table that a question belongs to, as all of its questions stand."""
    asked = questions.grouped(db, question.group)
    runs = [engine.store.run(db, run) for run in dict.fromkeys(each.run for each in asked)]
    left, right = runs if len(runs) == 2 else (None, None)
    if left and right:
        message = words.compared(question.group, context.shown(left), context.shown(right), asked)
        store.say(db, Place(question.place), message)
