"""A real PostgreSQL for tests, in a folder of its own; root may not run one, so `nobody` does."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

START_S = 90.0
NOBODY = 65534


def binaries() -> Path | None:
    """Where initdb and postgres lie, if they are installed."""
    config = shutil.which("pg_config")
    if not config:
        return None
    told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(told) if (Path(told) / "initdb").exists() and (Path(told) / "postgres").exists() else None


class Postgres:
    """One server; `stop` and `start` are what a restart of it looks like."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self.folder = folder
        self.bin = bin_
        self.port = free_port()
        self.url = f"postgresql://nobody@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-k", str(self.folder), "-c", "fsync=off"]
        log = (self.folder / "postgres.log").open("ab")
        command = as_nobody([str(self.bin / "postgres"), "-D", str(self.folder / "data"), *options])
        self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        until = time.monotonic() + START_S
        while not answers(self.port):
            assert time.monotonic() < until, (self.folder / "postgres.log").read_text()
            time.sleep(0.05)

    def empty(self) -> None:
        import psycopg

        with psycopg.connect(self.url) as db:
            db.execute("DROP SCHEMA public CASCADE")
            db.execute("CREATE SCHEMA public")

    def stop(self) -> None:
        """At once, cutting every connection."""
        if self.process:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(START_S)
            self.process = None


def as_nobody(command: Sequence[str]) -> list[str]:
    return (
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        if os.getuid() == 0
        else [*command]
    )


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def answers(port: int) -> bool:
    import psycopg

    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(f"postgresql://nobody@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        return True
    return False


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server with an empty database while the block runs; skips the test by name where there is none.

    Its folder is not among pytest's own, which another session of tests may close to `nobody` at any time.
    """
    found = binaries()
    if found is None or (os.getuid() == 0 and not shutil.which("setpriv")):
        pytest.skip("PostgreSQL is not installed (pg_config, initdb, postgres; setpriv for root)")
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        made = ["-D", str(folder / "data"), "-A", "trust", "-U", "nobody", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(as_nobody([str(found / "initdb"), *made]), check=True, capture_output=True, cwd=folder)
        server = Postgres(folder, found)
        server.start()
        try:
            yield server
        finally:
            server.stop()
