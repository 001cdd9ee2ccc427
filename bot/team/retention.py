"""Datasets and outputs that are older than the operator wants them are deleted, and their threads are told."""

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Place
from bot.talk.context import Context
from bot.wording import team as words
from engine.work import usage
from engine.work.speed.kept import forget as forget_tokens

DAY_S = 86400.0


async def tick(context: Context) -> None:
    """The folders go first: what is still in the database is tried again after a crash."""
    for sha256 in await _due(context, context.settings.keep_datasets_days, usage.old_uploads):
        await asyncio.to_thread(_remove, context.settings.uploads / sha256)
        await asyncio.to_thread(forget_tokens, context.settings.runs, sha256)
        await context.database.write(_forget_upload, sha256)
    for run in await _due(context, context.settings.keep_outputs_days, usage.old_runs):
        folder = context.settings.runs / run
        if await asyncio.to_thread(folder.exists):
            await asyncio.to_thread(_remove, folder)
            await context.database.write(_tell_run, run)


async def _due(context: Context, days: float, old: "usage.Old") -> list[str]:
    return await context.database.read(old, context.clock() - days * DAY_S) if days else []


def _forget_upload(db: Connection, sha256: str) -> None:
    for place, name in store.holders(db, sha256):
        store.remove_file(db, place, sha256)
        store.say(db, place, words.lapsed_file(f"lapsed/{place.id}/{sha256[:16]}", name))
    usage.remove_upload(db, sha256)


def _tell_run(db: Connection, run_id: str) -> None:
    run, watch = engine.store.run(db, run_id), store.watch_of(db, run_id)
    if run and watch:
        store.say(db, Place(watch.place.id), words.lapsed_run(f"lapsed/run/{run_id}", run))


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
