"""What all tests share: they speak to loopback only, and their last lines say what was not run and why."""

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres, postgres

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_PUBLIC_ENDPOINT"] = ""
for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_NAMESPACE", "DATA", "CACHE"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> str:
    """A database that nothing is in."""
    postgres_server.empty()
    return postgres_server.url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return str(request.getfixturevalue("postgres_url"))


PEERS = {"PostgreSQL": "pg_config", "Node and npm": "npm"}
"""What some tests need besides Python, and a program that shows it is there."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last lines: each reason to skip, each test that passed only when it was tried again, each missing peer."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"NOT RUN ({count}): {reason.removeprefix('Skipped: ')}")
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.write_line(report.longreprtext)
        terminalreporter.write_line(f"FAILED AT FIRST: {report.nodeid} ({report.when})")
    missing = [name for name, program in PEERS.items() if shutil.which(program) is None]
    terminalreporter.write_line(f"Missing peers: {', '.join(missing) or 'none'}.")
