"""Asks the engine something in a child process: what takes more than 10 ms never runs in the bot itself."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

import structlog

from engine.refusal import Refusal

log = structlog.get_logger()
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


async def ask(
    *words: str, timeout_s: float, environment: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Run `python -m engine …words --json` and return its exit code and its answer.

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
        raise Refusal(f"That took longer than {timeout_s:g} s, so I stopped it. Try a smaller file.") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return child.returncode or 0, _answer(words[0], child.returncode or 0, out, err)


def _answer(word: str, code: int, out: bytes, err: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        log.error("the engine gave no answer", command=word, code=code, stderr=err.decode(errors="replace")[-4000:])
        raise Refusal("Something went wrong on my side while reading that; my log has the details.") from None
    if "refusal" in answer:
        raise Refusal(answer["refusal"]["text"], answer["refusal"].get("field", ""))
    return answer
