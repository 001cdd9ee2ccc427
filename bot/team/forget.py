"""`/finetune forget RUN|FILE`: a dataset, or a run with its checkpoints and outputs, is deleted from this server."""

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Incoming
from bot.store import ThreadFile
from bot.talk.context import Context
from bot.talk.datasets import uploads
from bot.talk.runs import shown
from bot.team.access import check_may_end
from bot.wording import team as words
from engine.jobs import Run
from engine.refusal import Refusal
from engine.store import is_run_id
from engine.work import usage
from engine.work.asking import questions
from engine.work.speed.kept import forget as forget_tokens


async def forget(context: Context, incoming: Incoming, word: str) -> None:
    """Raises Refusal for a run that is at work, a file that an open run needs, and what is somebody else's."""
    if is_run_id(word):
        if run := await shown.find(context, incoming, word):
            await _forget_run(context, incoming, run)
    else:
        await _forget_file(context, incoming, await uploads.find(context, incoming.place, word))


async def _forget_run(context: Context, incoming: Incoming, run: Run) -> None:
    await check_may_end(context, incoming.person, run)
    if not run.status.is_over:
        raise Refusal(f"Run {run.id} is not over: `/finetune cancel {run.id}` first.")
    await asyncio.to_thread(_remove, context.settings.runs / run.id)
    await context.database.write(usage.forget_run, run.id)
    await context.database.write(questions.forget, run.id)
    await context.say(incoming.place, words.forgot_run(f"{incoming.key}/answer", run))


async def _forget_file(context: Context, incoming: Incoming, file: ThreadFile) -> None:
    """Where other threads hold the same content, only this thread forgets it."""
    is_last = await context.database.write(_forget, incoming, file)
    if is_last:
        await asyncio.to_thread(_remove, context.settings.uploads / file.sha256)
        await asyncio.to_thread(forget_tokens, context.settings.runs, file.sha256)
    await context.say(incoming.place, words.forgot_file(f"{incoming.key}/answer", file.name, is_last))


def _forget(db: Connection, incoming: Incoming, file: ThreadFile) -> bool:
    """Whether nobody else holds the content."""
    for run in engine.store.open_runs(db):
        if file.sha256 in (run.spec.train.sha256, run.spec.valid.sha256 if run.spec.valid else ""):
            raise Refusal(f"Run {run.id} needs {file.name} and is not over: wait for it, or cancel it.", "file")
    if store.remove_file(db, incoming.place, file.sha256):
        return False
    usage.remove_upload(db, file.sha256)
    return True


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
