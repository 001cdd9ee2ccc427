"""What this machine has to bring: folders, disk, database, an interpreter that trains, a GPU with its driver."""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from bot.migrate import MIGRATIONS
from bot.settings import Settings
from bot.setup.findings import Finding, note, well, wrong
from engine.database import make_engine

GB = 1e9
ASK_S = 120.0
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
LOOK = f"""
import importlib.metadata, importlib.util, json
found = [name for name in {PACKAGES} if importlib.util.find_spec(name)]
version = importlib.metadata.version("torch") if "torch" in found else ""
print(json.dumps([found, version]))
"""
CUDA = "import torch; print(torch.cuda.is_available(), torch.version.cuda or 'none')"


def environment_file(path: Path = Path(".env")) -> Iterator[Finding]:
    """`.env` holds tokens: nobody else on this machine may read it."""
    if path.exists() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        yield note(".env", f"Others on this machine can read {path}, which holds tokens: `chmod 600 {path}`.")


def folders(settings: Settings) -> Iterator[Finding]:
    for name, folder in (("DATA", settings.data), ("CACHE", settings.cache)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            yield wrong(
                "folders",
                f"{name}={folder} cannot be written ({error.strerror}): give it to the user that runs the bot, "
                f"or set another {name}.",
            )
            continue
        yield from disk(name, folder, settings.min_free_gb)


def disk(name: str, folder: Path, least_gb: float) -> Iterator[Finding]:
    free_gb = shutil.disk_usage(folder).free / GB
    if free_gb < least_gb:
        yield wrong(
            "disk",
            f"{name}={folder} has {free_gb:.1f} GB left and MIN_FREE_GB asks for {least_gb:g}: free some, "
            f"or set {name} to a larger disk.",
        )
    else:
        yield well("disk", f"{name} has {free_gb:.0f} GB left.")


def database(settings: Settings) -> Iterator[Finding]:
    """Whether it opens, is whole, and is of a version that this program knows."""
    try:
        engine = make_engine(settings.database)
    except (SQLAlchemyError, ImportError, ValueError) as error:
        yield wrong("database", f"DATABASE_URL cannot be read ({_first_line(error)}): it looks like {EXAMPLE}.")
        return
    try:
        with engine.connect() as db:
            if db.dialect.name == "sqlite":
                db.execute(sa.text("PRAGMA schema_version"))
            has_table = sa.inspect(db).has_table("alembic_version")
            revision = db.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() if has_table else None
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        where = settings.database if settings.database.startswith("sqlite") else "DATABASE_URL"
        yield wrong(
            "database",
            f"The database ({where}) does not open ({_first_line(error)}): check its address, its rights, "
            "or restore a backup.",
        )
        return
    finally:
        engine.dispose()
    yield _version(revision)


EXAMPLE = "postgresql://user:password@host/name"


def _version(revision: str | None) -> Finding:
    script = ScriptDirectory.from_config(_config())
    if revision and revision not in {each.revision for each in script.walk_revisions()}:
        return wrong(
            "database",
            f"The database is of version {revision}, which this program does not know: run the newer program, "
            "or restore the backup that was made before the upgrade.",
        )
    return well("database", "The database opens.")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def _first_line(error: Exception) -> str:
    said = str(getattr(error, "orig", None) or error).strip()
    return said.splitlines()[0].rstrip(".") if said else type(error).__name__


async def port(settings: Settings) -> list[Finding]:
    """Something else at HTTP_PORT."""
    if not settings.http_port:
        return []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.http_host, settings.http_port))
        except OSError as error:
            where = f"{settings.http_host}:{settings.http_port}"
            return [wrong("port", f"Nothing can listen on {where} ({error.strerror}): set HTTP_PORT to a free one.")]
    return [well("port", f"HTTP_PORT {settings.http_port} is free.")]


async def trainer(settings: Settings) -> list[Finding]:
    """The interpreter that trains, what is installed there, and whether it sees the GPU that this machine has."""
    if "local" not in settings.executors:
        return []
    code, said = await _ran(settings.python, "-c", LOOK)
    if code:
        return [
            wrong(
                "training",
                f"TRAIN_PYTHON={settings.python} does not run ({said[-200:] or 'no such program'}): set it to the "
                "interpreter of an environment with the training libraries, or leave it empty.",
            )
        ]
    found, torch = _decoded(said)
    missing = [name for name in PACKAGES if name not in found]
    if missing:
        return [
            wrong(
                "training",
                f"{settings.python} lacks {', '.join(missing)}: `pip install -e '.[train]'` there, "
                "or set EXECUTOR to a place that trains elsewhere.",
            )
        ]
    return [
        well("training", f"torch {torch} and the training libraries are there."),
        *await gpu(settings.python, torch),
    ]


def _decoded(said: str) -> tuple[list[str], str]:
    found, torch = json.loads(said.strip().splitlines()[-1])
    return found, torch


async def gpu(python: str, torch: str) -> list[Finding]:
    code, said = await _ran("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if code == MISSING:
        return [note("GPU", "There is no NVIDIA driver here: training runs on the processor, for small models only.")]
    if code:
        return [
            wrong(
                "GPU", f"The NVIDIA driver does not answer ({said[-200:].strip()}): reinstall it, or restart the host."
            )
        ]
    _, cuda = await _ran(python, "-c", CUDA)
    if cuda.strip().startswith("True"):
        return [well("GPU", "; ".join(said.strip().splitlines()) + ".")]
    driver = said.strip().splitlines()[0].rpartition(",")[2].strip()
    why = (
        f"torch {torch} is a build without CUDA: install the plain wheel there"
        if cuda.strip().endswith("none")
        else f"the driver {driver} is too old for torch's CUDA: update the driver"
    )
    return [wrong("GPU", f"This machine has a GPU that {python} does not see; {why}.")]


MISSING = 127


async def _ran(*command: str) -> tuple[int, str]:
    """Exit code (127 where there is no such program) and what it said."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=os.sep
        )
    except OSError:
        return MISSING, ""
    try:
        out, _ = await asyncio.wait_for(child.communicate(), ASK_S)
    except TimeoutError:
        child.kill()
        await child.wait()
        return 1, f"no answer within {ASK_S:.0f} s"
    return child.returncode or 0, out.decode(errors="replace")
