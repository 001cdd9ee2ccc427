"""What the bot says of the models that were made."""

from collections.abc import Sequence

from bot.chat import Message, Table
from bot.wording.numbers import count
from engine.jobs import Run


def listing(key: str, runs: Sequence[Run]) -> Message:
    if not runs:
        return Message(key, "No models yet. Drop a CSV or JSONL in a channel to begin.")
    rows = tuple((_where(run), f"run {run.id}", f"{run.spec.method} on {run.spec.model.id}") for run in runs)
    return Message(key, f"The last {count(len(runs), 'model')}.", table=Table(("Model", "Run", "Trained as"), rows))


def _where(run: Run) -> str:
    return run.result.url or run.result.repo or "kept on the bot's server"
