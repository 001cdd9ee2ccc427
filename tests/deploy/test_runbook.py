"""The runbook's commands for PostgreSQL and for an upgrade, executed as they stand there."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import engine.store
from bot.migrate import downgrade, upgrade
from engine.database import make_engine
from engine.jobs import JobSpec, Model, Source
from tests.postgres import NOBODY, Postgres, as_nobody, binaries, postgres

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "deploy" / "README.md").read_text()
PATIENCE_S = 120.0
SPEC = JobSpec("sft", Model("org/base"), Source("a.csv", "0" * 64, {}), requester="U1")


def commands(word: str) -> list[str]:
    """The commands of the runbook that begin so, whether they stand in a line or in a block."""
    inline = re.findall(rf"`({word} [^`]+)`", RUNBOOK)
    return [*inline, *re.findall(rf"^({word} .+)$", RUNBOOK, re.MULTILINE)]


def runs(url: str) -> list[str]:
    engine_ = make_engine(url)
    try:
        with engine_.begin() as db:
            return [run.spec.requester for run in engine.store.recent_runs(db, 10)]
    finally:
        engine_.dispose()


def start_a_run(url: str) -> None:
    engine_ = make_engine(url)
    with engine_.begin() as db:
        engine.store.queue_run(db, SPEC, 1.0)
    engine_.dispose()


@pytest.fixture
def server() -> Iterator[Postgres]:
    found = binaries()
    if found is None or not (found / "pg_dump").exists():
        pytest.skip("PostgreSQL's pg_dump and pg_restore are not installed")
    with postgres() as made:
        yield made


@pytest.mark.slow
def test_a_dump_of_postgresql_brings_everything_back(server: Postgres) -> None:
    """Into a database that has gone on since, and into an empty one; as the user that runs the server."""
    (dump,), (restore,) = commands("pg_dump"), commands("pg_restore")
    folder = server.folder / "backup"
    folder.mkdir()
    if os.getuid() == 0:
        os.chown(folder, NOBODY, NOBODY)

    def ran(command: str) -> None:
        path = f"{server.bin}:{os.environ['PATH']}"
        environment = {**os.environ, "DATABASE_URL": server.url, "PATH": path}
        words = as_nobody(["sh", "-c", command])
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr

    upgrade(server.url)
    start_a_run(server.url)
    ran(dump)
    start_a_run(server.url)
    ran(restore)
    assert runs(server.url) == ["U1"]
    server.empty()
    ran(restore)
    assert runs(server.url) == ["U1"]
    upgrade(server.url)
    start_a_run(server.url)
    assert len(runs(server.url)) == 2, "what was restored goes on: the next run gets the next number"


def test_a_sqlite_database_in_use_is_copied_by_the_runbooks_command(tmp_path: Path) -> None:
    (command,) = commands("sqlite3")
    if not shutil.which("sqlite3"):
        pytest.skip("sqlite3, the program, is not installed")
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path / 'data' / 'threadtune.db'}"
    upgrade(url)
    start_a_run(url)
    with closing(sqlite3.connect(tmp_path / "data" / "threadtune.db", isolation_level=None)) as at_work:
        at_work.execute("BEGIN")
        at_work.execute("SELECT * FROM runs").fetchall()
        subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, timeout=PATIENCE_S)
    assert runs(f"sqlite:///{tmp_path / 'threadtune.db'}") == ["U1"]


def test_an_older_database_is_brought_to_the_new_shape_by_the_start_with_what_is_in_it(tmp_path: Path) -> None:
    """The upgrade of the runbook: the newer program is started over the older one's data."""
    assert "The database is brought to the new shape at the start, in one transaction." in RUNBOOK
    url = f"sqlite:///{tmp_path / 'threadtune.db'}"
    upgrade(url)
    start_a_run(url)
    downgrade(url, "0003")
    assert version(tmp_path / "threadtune.db") == "0003"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATA": str(tmp_path), "HTTP_PORT": "0", "CHAT": "console"}
    command = [sys.executable, "-m", "bot", "serve"]
    with (tmp_path / "log").open("w") as log:
        bot = subprocess.Popen(command, cwd=tmp_path, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        until = time.monotonic() + PATIENCE_S
        while version(tmp_path / "threadtune.db") == "0003":
            assert time.monotonic() < until and bot.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.1)
    finally:
        bot.kill()
        bot.communicate()
    assert runs(url) == ["U1"]


def version(file: Path) -> str:
    with closing(sqlite3.connect(file)) as db:
        return str(db.execute("SELECT version_num FROM alembic_version").fetchone()[0])
