"""The base model of a plan: one of the Hub, one that a run of the team made, or whichever fits where it trains."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming
from bot.talk.commands import Plan
from bot.talk.context import Context
from bot.talk.runs import models, shown
from engine.jobs import Run
from engine.plan.models import is_folder
from engine.refusal import Refusal

RUN = re.compile(r"(?:run-|#)?(\d{1,15})", re.IGNORECASE)


@dataclass(frozen=True)
class Basis:
    """`word` is what the engine is asked for, empty for the model that fits; `folder` is where it lies, if here."""

    word: str = ""
    folder: str = ""


async def of_plan(context: Context, incoming: Incoming, request: Plan) -> Basis:
    """Raises Refusal for a folder that may not be named here, or a run whose model may not be taken."""
    if not request.model:
        return usual(context, request)
    if is_folder(request.model):
        if not context.settings.people_are_local:
            raise Refusal("A base model is named by its id on the Hub here, as in model=org/name.", "model")
        return Basis(request.model, request.model)
    number = RUN.fullmatch(request.model)
    run = await context.database.read(_made, context, incoming, request.model, number[1] if number else "")
    if run is None and number:
        raise Refusal(
            f"There is no run {number[1]} whose model could be taken: `/finetune models` lists them.", "model"
        )
    if run is None:
        return Basis(request.model)
    folder = (context.settings.runs / run.id).resolve()
    if not (folder / "spec.json").exists():
        if number:
            raise Refusal(f"What run {run.id} had made is no longer here: name its repo instead.", "model")
        return Basis(request.model)
    return Basis(str(folder), str(folder))


def usual(context: Context, request: Plan) -> Basis:
    """Where nobody named one: the operator's, else the engine chooses; for mlm, since that wants an encoder, always."""
    return Basis("" if request.method == "mlm" else context.settings.default_model)


def slot(context: Context, request: Plan) -> str:
    """Where it would train, as the engine reads it: of several places on its executor the one with the least memory,
    since that may be the one it gets. Empty where none is known."""
    where = request.where or context.settings.executors[0]
    ours = [slot for slot in context.slots() if slot.executor in ("", where)]
    if not ours:
        return ""
    least = min([slot for slot in ours if slot.gpus] or ours, key=lambda slot: slot.memory_gb)
    return f"{min(1, least.gpus)}x{least.memory_gb:.2f}"


def _made(db: Connection, context: Context, incoming: Incoming, word: str, number: str) -> Run | None:
    """The run of that number, or the one whose model is that repo, if it left a model and may be known here."""
    if number:
        found = [run] if (run := engine.store.run(db, number)) else []
    else:
        recent = engine.store.recent_runs(db, models.LOOKED_AT)
        found = [run for run in recent if run.result.repo.lower() == word.partition("@")[0].lower()]
    usable = (run for run in found if run.done in ("train", "push"))
    return next((run for run in usable if _may_take(db, context, incoming, run)), None)


def _may_take(db: Connection, context: Context, incoming: Incoming, run: Run) -> bool:
    watch = store.watch_of(db, run.id)
    may_see = watch is not None and shown.may_see(context, incoming, watch)
    return may_see or models.may_know(db, context, incoming, run)
