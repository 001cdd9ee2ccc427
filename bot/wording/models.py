"""What the bot says of the models that were made, and of those that runs can begin with."""

from collections.abc import Sequence

from bot.chat import Message, Table
from bot.wording.numbers import count
from engine.jobs import Run
from engine.plan.bases import listed
from engine.plan.bases.allowed import is_allowed, patterns
from engine.plan.models import MODELS


def listing(key: str, runs: Sequence[Run]) -> Message:
    if not runs:
        return Message(key, "No models yet. Drop a CSV or JSONL in a channel to begin.")
    rows = tuple((_where(run), f"run {run.id}", f"{run.spec.method} on {run.spec.model.id}") for run in runs)
    text = f"The last {count(len(runs), 'model')}. A run can begin with one of them: `/finetune dpo base={runs[0].id}`."
    return Message(key, text, table=Table(("Model", "Run", "Trained as"), rows))


def on_offer(key: str, allowed: str) -> Message:
    """The base models by name, each with the GPU memory that a method needs; `allowed` is the operator's list."""
    named = patterns(allowed)
    offers = [offer for offer in MODELS if is_allowed(offer.id, named)]
    others = f"Others that are allowed here: {', '.join(named)}." if named else "Any other of the Hub may be named too."
    text = f"Take one with `model=`; without it I take the largest open one that fits where it trains. {others}"
    return Message(key, text, table=Table(listed.COLUMNS, tuple(map(listed.row, offers))))


def _where(run: Run) -> str:
    return run.result.url or run.result.repo or "kept on the bot's server"
