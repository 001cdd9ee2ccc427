"""The rows that a training could not use, as a file: behind a button under the run that failed."""

import asyncio
from pathlib import Path

from bot.chat import Incoming
from bot.talk.context import Context
from bot.talk.datasets import reports
from bot.talk.runs import shown
from bot.wording import failure as words
from engine.folder import REJECTED, RunFolder
from engine.jobs import Run


async def show(context: Context, incoming: Incoming, run_id: str) -> None:
    """What the training listed; where it listed nothing, what the check had said of the file."""
    run = await shown.find(context, incoming, run_id)
    if run is None:
        return
    file = listed(context.settings.runs, run)
    if not file.exists():
        await reports.explain(context, incoming, run.spec.train.sha256)
        return
    count = await asyncio.to_thread(lines, file)
    await context.say(incoming.place, words.rejected(f"{incoming.key}/answer", run.id, count, file))


def listed(runs: Path, run: Run) -> Path:
    return RunFolder(runs / run.id).attempts / run.attempt / REJECTED


def lines(file: Path) -> int:
    with file.open("rb") as found:
        return sum(1 for _ in found)
