"""What is kept, and for how long: checkpoints of runs that are over, processes that no open attempt owns.

Everything here may be done twice, or by two bots.
"""

import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import structlog
from sqlalchemy import Connection

from engine import store
from engine.database import Database
from engine.executor import Executor, Handle
from engine.folder import RunFolder
from engine.jobs import Run

log = structlog.get_logger()
DAY_S = 86400.0


def shortage(folder: Path, min_free_gb: float) -> str:
    """What is wrong with the disk that `folder` lies on, as a sentence; empty for nothing."""
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb >= min_free_gb:
        return ""
    return f"{free_gb:.1f} GB are free in {folder.name}; new runs wait for {min_free_gb:g} GB (MIN_FREE_GB)."


async def sweep(database: Database, executors: Collection[Executor]) -> list[Handle]:
    """End what still runs though its attempt is over, or was never stored; returns what was found.

    The executor is asked first: an attempt is stored before it is submitted, so what is not in the database then is
    nobody's. What cannot be asked is left for the next time.
    """
    orphans = []
    for executor in executors:
        try:
            running = await executor.list()
            # By id alone: a cluster on this very machine has its processes here, and the local executor sees them too.
            owned = {tried.handle.id for tried in await database.read(store.open_attempts)}
            for handle in (handle for handle in running if handle.id not in owned):
                log.warning("an attempt that nobody owns is ended", executor=handle.executor, handle=handle.id)
                await executor.cancel(handle, save=False)
                await executor.observe(handle)
                orphans.append(handle)
        except Exception:
            log.exception("the executor could not be swept")
    return orphans


def over_before(db: Connection, before: float) -> list[Run]:
    """The runs that ended before that time, in seconds since 1970, and whose checkpoints no open run needs."""
    needed = {run.of for run in store.open_runs(db)}
    return [run for run in store.ended_runs(db) if 0 < run.ended_at < before and run.id not in needed]


def prune(root: Path, runs: Sequence[Run]) -> int:
    """Remove their checkpoints; models, logs and reports stay. Returns how many folders went."""
    folders = [RunFolder(root / run.id).checkpoints for run in runs]
    there = [folder for folder in folders if folder.exists()]
    for folder in there:
        shutil.rmtree(folder, ignore_errors=True)
    return len(there)


def clear(root: Path, keep_s: float) -> None:
    """Remove folders that were set aside or never finished (`7.old-…`, `.7-…`) once they are older than `keep_s`."""
    for folder in [*root.glob("*.old-*"), *root.glob(".*-*")]:
        if time.time() - folder.stat().st_mtime > keep_s:
            shutil.rmtree(folder, ignore_errors=True)
