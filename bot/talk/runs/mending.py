"""The buttons under a run that failed: a press starts the mended run, once however many people press."""

import engine.store
from bot import store
from bot.chat import Incoming
from bot.talk.context import Context
from bot.talk.runs import repeats, shown
from engine.jobs import Run
from engine.plan.mending import mended
from engine.refusal import Refusal


async def mend(context: Context, incoming: Incoming, run_id: str, name: str) -> None:
    """Raises Refusal where another press was first, or where the run does not stand as the button says."""
    run = await shown.find(context, incoming, run_id)
    if run is None:
        return
    if await context.database.read(store.said, f"{incoming.key}/answer"):
        return  # it was answered before a crash, and only that was not noted
    new = mended(run, name)
    if new is None:
        raise Refusal(f"Run {run.id} is {run.status}, so that button mends nothing any more.", "run")
    if other := await _at_work(context, run):
        raise Refusal(f"Run {other.id} was started in its place already.", "run")
    await repeats.queue(context, incoming, new)


async def _at_work(context: Context, run: Run) -> Run | None:
    recent = await context.database.read(engine.store.recent_runs, shown.LOOKED_AT)
    return next((other for other in recent if other.of == run.id and not other.status.is_over), None)
