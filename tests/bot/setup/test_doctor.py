"""The doctor names each broken configuration and says what to do; `serve` refuses with the same sentence."""

import asyncio
import contextlib
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from bot.settings import Settings
from bot.setup import doctor, machine
from bot.setup.findings import Finding, clock
from tests.twins.discord import TOKEN, Wire
from tests.twins.discord_world import World
from tests.twins.slack.server import Twin, twin

SERVE_S = 120.0


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, with settings under which nothing is wrong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HTTP_PORT", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
async def slack(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Twin]:
    async with twin() as there:
        values = {
            "CHAT": "slack",
            "TEAM_CHANNEL": "#team",
            "ADMINS": "U1",
            "SLACK_BOT_TOKEN": there.at.bot_token,
            "SLACK_APP_TOKEN": there.at.app_token,
            "SLACK_API_URL": f"{there.at.base}/api/",
        }
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        yield there


@pytest.fixture
async def discord(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    wire = Wire()
    await wire.start()
    world = World(wire)
    values = {"CHAT": "discord", "DISCORD_TOKEN": TOKEN, "DISCORD_API": wire.api, "TEAM_CHANNEL": str(world.team.id)}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    yield world
    await wire.stop()


def wrong(found: list[Finding]) -> str:
    return "\n".join(finding.text for finding in found if finding.state == "wrong")


async def test_nothing_is_wrong_with_a_fresh_console() -> None:
    assert wrong(await doctor.examine(is_quick=True)) == ""


async def test_nothing_is_wrong_with_slack_as_it_should_be(slack: Twin) -> None:
    found = await doctor.examine(is_quick=True)
    assert wrong(found) == ""
    assert "The bot is in #team." in [finding.text for finding in found]


async def test_nothing_is_wrong_with_discord_as_it_should_be(discord: World) -> None:
    found = await doctor.examine(is_quick=True)
    assert wrong(found) == ""
    assert "The bot sees #team." in [finding.text for finding in found]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"CHAT": "slak"}, "CHAT=slak"),
        ({"EXECUTOR": "cloud"}, "EXECUTOR=cloud"),
        ({"MAX_UPLOAD_MB": "many"}, "MAX_UPLOAD_MB"),
        ({"DATA": "/proc/threadtune"}, "DATA=/proc/threadtune cannot be written"),
        ({"MIN_FREE_GB": "1000000"}, "MIN_FREE_GB asks for 1e+06"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL cannot be read"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"}, "The database (DATABASE_URL) does not open"),
        ({"HF_TOKEN": "hf_" + "x" * 34}, "HF_NAMESPACE is not"),
        ({"CHAT": "slack"}, "SLACK_BOT_TOKEN is to be the app's bot token"),
        ({"CHAT": "slack", "SLACK_BOT_TOKEN": "xoxb-1"}, "Set SLACK_APP_TOKEN for Socket Mode"),
        ({"CHAT": "discord"}, "DISCORD_TOKEN is not set"),
    ],
)
async def test_each_broken_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], says: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert says in wrong(await doctor.examine(is_quick=True))


async def test_a_database_of_a_newer_program_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "threadtune.db")) as db:
        db.execute("CREATE TABLE alembic_version (version_num TEXT)")
        db.execute("INSERT INTO alembic_version VALUES ('9999')")
        db.commit()
    assert "of version 9999, which this program does not know" in wrong(await doctor.examine(is_quick=True))


async def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("HTTP_PORT", str(taken.getsockname()[1]))
        assert "set HTTP_PORT to a free one" in wrong(await doctor.examine(is_quick=True))


async def test_a_revoked_token_a_missing_scope_and_a_foreign_channel_of_slack_are_named(
    slack: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.at.scopes.remove("files:read")
    assert "The bot token lacks files:read" in wrong(await doctor.examine(is_quick=True))
    slack.at.scopes.add("files:read")
    monkeypatch.setenv("TEAM_CHANNEL", "#elsewhere")
    assert "TEAM_CHANNEL=#elsewhere is no channel" in wrong(await doctor.examine(is_quick=True))
    slack.at.app_token = "xapp-other"
    assert "does not open a socket for SLACK_APP_TOKEN" in wrong(await doctor.examine(is_quick=True))
    slack.at.bot_token = "xoxb-other"
    assert "Slack does not take SLACK_BOT_TOKEN (invalid_auth)" in wrong(await doctor.examine(is_quick=True))


async def test_a_wrong_token_and_a_foreign_channel_of_discord_are_named_and_a_missing_intent_is_noted(
    discord: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    discord.wire.has_content_intent = False
    found = await doctor.examine(is_quick=True)
    assert "The message content intent is off" in "".join(f.text for f in found if f.state == "note")
    monkeypatch.setenv("TEAM_CHANNEL", "123")
    assert "TEAM_CHANNEL=123 is no channel" in wrong(await doctor.examine(is_quick=True))
    monkeypatch.setenv("DISCORD_TOKEN", "another")
    assert "Discord does not know this DISCORD_TOKEN" in wrong(await doctor.examine(is_quick=True))


async def test_an_env_file_that_others_can_read_is_noted(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_QUEUED=3\n")
    (tmp_path / ".env").chmod(0o644)
    found = await doctor.examine(is_quick=True)
    assert "chmod 600 .env" in "".join(finding.text for finding in found)


async def test_a_clock_that_is_wrong_is_named() -> None:
    async with server() as address:
        assert wrong(await clock(address)) == ""
        assert "s ahead, so signatures" in wrong(await clock(address, now=time.time() + 600))


@contextlib.asynccontextmanager
async def server() -> AsyncIterator[str]:
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for programs that stand in for others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    yield folder


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_an_interpreter_that_cannot_train_is_named(programs: Path) -> None:
    no_such = Settings(_env_file=None, train_python=str(programs / "none"))
    assert "does not run" in wrong(await machine.trainer(no_such))
    bare = program(programs / "bare", 'echo \'[["torch"], "2.13.0"]\'')
    assert "lacks transformers, trl" in wrong(await machine.trainer(Settings(_env_file=None, train_python=bare)))


async def test_a_gpu_that_torch_does_not_see_is_named_with_the_reason(programs: Path) -> None:
    program(programs / "nvidia-smi", "echo 'H100, 81559 MiB, 450.1'")
    without = program(programs / "without", "echo False none")
    assert "a build without CUDA" in wrong(await machine.gpu(without, "2.13.0+cpu"))
    too_old = program(programs / "old", "echo False 13.0")
    assert "the driver 450.1 is too old" in wrong(await machine.gpu(too_old, "2.13.0"))
    program(programs / "nvidia-smi", "echo 'NVRM: version mismatch'; exit 18")
    assert "The NVIDIA driver does not answer" in wrong(await machine.gpu(too_old, "2.13.0"))


async def test_serve_refuses_with_the_doctors_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setenv("CHAT", "discord")
    sentence = wrong(await doctor.examine(is_quick=True))
    command = [sys.executable, "-m", "bot", "serve"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=SERVE_S)
    assert (done.returncode, done.stderr) == (1, f"{sentence}\n")
