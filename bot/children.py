"""Asks the engine something in a child process: what takes more than 10 ms never runs in the bot itself."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from bot.watching import figures
from engine.hub import tally
from engine.refusal import Refusal

log = structlog.get_logger()
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


MOST_AT_ONCE = max(2, os.cpu_count() or 1)
"""Children at work; the others wait their turn, so that many files at once take no more memory than a few."""
turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True)
class Answer:
    """What a child said: its exit code, the JSON object on its standard output, the lines on its standard error."""

    code: int
    values: dict[str, Any]
    notes: list[str]


async def ask(
    *words: str, timeout_s: float, environment: Mapping[str, str] | None = None, if_slow: str = "Try it again later."
) -> Answer:
    """Run `python -m engine …words --json` and return its answer.

    The child waits until few enough others are at work, and then has `timeout_s`. It gets only what `environment`
    adds to a few harmless variables, and no standard input.
    Raises Refusal when the answer is one, or when none came in time.
    """
    async with turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_AT_ONCE)):
        return await _ask(words, timeout_s, environment or {}, if_slow)


async def _ask(words: tuple[str, ...], timeout_s: float, environment: Mapping[str, str], if_slow: str) -> Answer:
    with tempfile.TemporaryDirectory(prefix="threadtune-") as folder:
        answers = Path(folder) / tally.NAME
        counted = {**environment, tally.FILE_VARIABLE: str(answers)} if environment else environment
        try:
            return await _answered(words, timeout_s, counted, if_slow)
        finally:
            for status, count in tally.read(answers).items():
                figures.HUB_ANSWERS.labels(words[0], status).inc(count)


async def _answered(words: tuple[str, ...], timeout_s: float, environment: Mapping[str, str], if_slow: str) -> Answer:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", *words, "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | dict(environment),
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), timeout_s)
    except TimeoutError:
        figures.HUB_CALLS.labels(words[0], "too_slow").inc()
        raise Refusal(f"That took longer than {timeout_s:g} s, so I stopped it. {if_slow}") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    answer = _answer(words[0], child.returncode or 0, out, err.decode(errors="replace"))
    if environment:
        figures.HUB_CALLS.labels(words[0], "done").inc()
    return answer


def _answer(word: str, code: int, out: bytes, err: str) -> Answer:
    try:
        values: dict[str, Any] = json.loads(out)
    except ValueError:
        log.error("the engine gave no answer", command=word, code=code, stderr=err[-4000:])
        raise Refusal("Something went wrong on my side while reading that; my log has the details.") from None
    if "refusal" in values:
        raise Refusal(values["refusal"]["text"], values["refusal"].get("field", ""))
    return Answer(code, values, err.splitlines())
