"""Removes what runs that came to nothing left on the Hub: the empty repo that was made for their model."""

import asyncio
from pathlib import Path

import engine.store
from bot import children
from bot.talk.context import Context
from engine.folder import CLAIM
from engine.refusal import Refusal

RELEASE_S = 60.0


async def tick(context: Context) -> None:
    """A repo that could not be removed, since the Hub was away, is tried again at the next tick."""
    if not context.settings.can_push:
        return
    for folder in await asyncio.to_thread(claimed, context.settings.runs):
        run = await context.database.read(engine.store.run, folder.name)
        if run is not None and run.status.is_over:
            await release(context, folder)


def claimed(runs: Path) -> list[Path]:
    """The folders of the runs for which a repo was made that has no model yet."""
    return sorted(path.parent for path in runs.glob(f"*/{CLAIM}"))


async def release(context: Context, folder: Path) -> None:
    environment = context.settings.hub_environment()
    try:
        await children.ask("release", str(folder), timeout_s=RELEASE_S, environment=environment)
    except Refusal:
        return  # it is in the log, and the next tick asks again
