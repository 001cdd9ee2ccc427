"""A program before a pseudo-terminal, and somebody who reads and types there."""

import asyncio
import contextlib
import os
import pty
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

PATIENCE_S = 120.0


class Terminal:
    """`shown` is everything that the program showed, echoes included; `pasted` is how often a value was typed."""

    def __init__(self, master: int, child: asyncio.subprocess.Process) -> None:
        self.master = master
        self.child = child
        self.shown = ""
        self.read_to = 0
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self) -> None:
        try:
            self.shown += os.read(self.master, 65536).decode(errors="replace")
        except OSError:
            asyncio.get_running_loop().remove_reader(self.master)

    async def until(self, words: str) -> None:
        """Wait until the program shows these words, after those that were waited for before."""
        try:
            await self._until(words)
        except TimeoutError:
            raise AssertionError(f"{words!r} is not in {self.shown[self.read_to :]!r}") from None

    async def _until(self, words: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (found := self.shown.find(words, self.read_to)) < 0:  # noqa: ASYNC110  a terminal tells nobody
                await asyncio.sleep(0.02)
        self.read_to = found + len(words)

    async def answers(self, question: str, line: str) -> None:
        await self.until(question)
        os.write(self.master, f"{line}\n".encode())

    async def ends(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.child.wait()


@contextlib.asynccontextmanager
async def terminal(folder: Path, environment: Mapping[str, str], *words: str) -> AsyncIterator[Terminal]:
    """`python -m bot …words` in a folder, its three streams on a pseudo-terminal."""
    master, slave = pty.openpty()
    root = Path(__file__).parents[3]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), **environment},
        start_new_session=True,
    )
    os.close(slave)
    there = Terminal(master, child)
    try:
        yield there
    finally:
        asyncio.get_running_loop().remove_reader(master)
        if child.returncode is None:
            child.terminate()
            await child.wait()
        os.close(master)
