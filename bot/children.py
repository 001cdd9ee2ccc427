"""Asks the engine something in a child process: what takes more than 10 ms never runs in the bot itself."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from engine.refusal import Refusal

log = structlog.get_logger()
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


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

    The child gets only what `environment` adds to a few harmless variables, and no standard input.
    Raises Refusal when the answer is one, or when none came in time.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine", *words, "--json"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in KEPT if name in os.environ} | dict(environment or {}),
    )
    try:
        out, err = await asyncio.wait_for(child.communicate(), timeout_s)
    except TimeoutError:
        raise Refusal(f"That took longer than {timeout_s:g} s, so I stopped it. {if_slow}") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return _answer(words[0], child.returncode or 0, out, err.decode(errors="replace"))


def _answer(word: str, code: int, out: bytes, err: str) -> Answer:
    try:
        values: dict[str, Any] = json.loads(out)
    except ValueError:
        log.error("the engine gave no answer", command=word, code=code, stderr=err[-4000:])
        raise Refusal("Something went wrong on my side while reading that; my log has the details.") from None
    if "refusal" in values:
        raise Refusal(values["refusal"]["text"], values["refusal"].get("field", ""))
    return Answer(code, values, err.splitlines())
