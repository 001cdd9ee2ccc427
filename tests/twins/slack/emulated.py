"""npm `emulate`, a stateful Slack Web API that nobody here wrote, as a process of its own.

It has no Socket Mode, slash commands, buttons, limits or retries: those are the twin's. `npm ci` installs it beside its
lock file, once.
"""

import asyncio
import contextlib
import fcntl
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

FOLDER = Path(__file__).parent / "peer"
SECRET = "a secret of the peer"
BOT, NARROW, ANN = "xoxb-bot", "xoxb-narrow", "xoxp-ann"
INSTALL_S, START_S = 120.0, 60.0


def install() -> None:
    """Skips the test that asks, in words, where Node or the package cannot be had."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("npm emulate 0.12.2, an independent Slack: Node and npm are not installed")
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (FOLDER / "node_modules" / "emulate").exists():
            return
        command = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            pytest.skip("npm emulate 0.12.2, an independent Slack: npm did not install it in two minutes")
        if done.returncode:
            pytest.skip("npm emulate 0.12.2, an independent Slack: npm could not install it")


class Peer:
    """A workspace with ann, bob and the channels ml and general. Events go, signed, to whoever listens at the port
    `listener` of this machine."""

    def __init__(self, base: str, listener: int) -> None:
        self.base, self.listener = base, listener

    async def call(self, method: str, token: str = ANN, **form: str) -> dict[str, Any]:
        """Call as a person, or as the bot. An answer that is not ok fails the test."""
        bearer = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=bearer) as session,
            session.post(f"{self.base}/api/{method}", data=form) as answer,
        ):
            told: dict[str, Any] = await answer.json()
        assert told.get("ok"), (method, told)
        return told

    async def channel(self, name: str = "ml") -> str:
        channels = (await self.call("conversations.list"))["channels"]
        return next(str(channel["id"]) for channel in channels if channel["name"] == name)

    async def drop(self, channel: str, name: str, content: bytes, thread: str = "") -> str:
        """Ann drops a file; its id."""
        ticket = await self.call("files.getUploadURLExternal", filename=name, length=str(len(content)))
        async with aiohttp.ClientSession() as session, session.post(ticket["upload_url"], data=content) as answer:
            assert answer.status == 200
        placed = {"thread_ts": thread} if thread else {}
        files = f'[{{"id": "{ticket["file_id"]}", "title": "{name}"}}]'
        await self.call("files.completeUploadExternal", files=files, channel_id=channel, **placed)
        return str(ticket["file_id"])


@contextlib.asynccontextmanager
async def peer(port: int, listener: int) -> AsyncIterator[Peer]:
    install()
    node = shutil.which("node") or "node"
    command = [node, str(FOLDER / "start.mjs"), str(port), SECRET, f"http://127.0.0.1:{listener}/slack/events"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        async with asyncio.timeout(START_S):
            while (line := await process.stdout.readline()) != b"ready\n":
                assert line, "the peer ended before it was ready"
        yield Peer(f"http://localhost:{port}", listener)  # as it calls itself in the addresses of files
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()
