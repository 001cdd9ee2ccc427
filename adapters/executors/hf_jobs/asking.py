"""The children that call the Hub for us, each with a deadline, and what the hardware costs by them."""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from adapters.executors.local import PASSED, PASSED_TO_THE_HUB, python_path
from engine.executor import Slot
from engine.refusal import Refusal

COMMAND = (sys.executable, "-P", "-m", "adapters.executors.hf_jobs.calls")
MOUNT = "/threadtune-run"
"""Where the run's part of the bucket stands in a job."""
OVER = ("COMPLETED", "CANCELED", "ERROR", "DELETED")
"""The stages in which a job does not run any more."""
HARDWARE_S = 30.0
"""Deadline of the question for prices; a start of the bot waits for it."""
FRESH_S = 3600.0
AGAIN_S = 60.0


class Unreachable(Exception):
    """The Hub said nothing, or nothing that tells how a job stands; it says nothing about a job."""


def variables(environment: Mapping[str, str]) -> dict[str, str]:
    """What such a child gets: the token, and no secret of a chat."""
    passed = {name: os.environ[name] for name in (*PASSED, *PASSED_TO_THE_HUB) if name in os.environ}
    return {**passed, **python_path(), **environment}


async def ask(environment: Mapping[str, str], deadline_s: float, verb: str, **asked: Any) -> dict[str, Any]:
    """What the child answers. Raises Refusal for what a person has to mend, Unreachable for the rest."""
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *COMMAND, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=variables(environment)
    )
    try:
        out, _ = await asyncio.wait_for(child.communicate(json.dumps({"verb": verb, **asked}).encode()), deadline_s)
    except TimeoutError:
        raise Unreachable(f"the Hub took longer than {deadline_s:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return _read(out)


def _read(out: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(out)
    except ValueError:
        raise Unreachable("the child that asks the Hub died") from None
    if "refusal" in answer:
        raise Refusal(answer["refusal"])
    if "trouble" in answer:
        raise Unreachable(answer["trouble"])
    return answer


class Hardware:
    """What a flavor is and costs, asked for in a thread of its own: at first waited for, then from time to time."""

    def __init__(self, environment: Mapping[str, str], flavor: str) -> None:
        self.environment = environment
        self.flavor = flavor
        self.slot: Slot | None = None
        self.trouble = ""
        self._asked_at = -FRESH_S
        self._answered = threading.Event()

    def known(self) -> Slot | None:
        """One slot of the flavor; None while the Hub has not said what it costs."""
        age_s = time.monotonic() - self._asked_at
        if age_s >= (FRESH_S if self.slot else AGAIN_S):
            self._asked_at = time.monotonic()
            threading.Thread(target=self._ask, daemon=True, name="hf-hardware").start()
            self._answered.wait(HARDWARE_S)
        return self.slot

    def _ask(self) -> None:
        try:
            asked = json.dumps({"verb": "hardware"}).encode()
            done = subprocess.run(
                COMMAND,
                input=asked,
                capture_output=True,
                env=variables(self.environment),
                timeout=HARDWARE_S,
                check=False,
            )
            found = {each["name"]: each for each in _read(done.stdout)["hardware"]}
            self._choose(found)
        except (Unreachable, Refusal, subprocess.SubprocessError, OSError) as error:
            self.trouble = f"Hugging Face does not say what {self.flavor} costs: {error}."
        finally:
            self._answered.set()

    def _choose(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        if self.flavor not in found:
            self.trouble = f"HF_JOBS_FLAVOR={self.flavor} is none of {', '.join(sorted(found))}."
            self.slot = None
            return
        each = found[self.flavor]
        self.trouble = ""
        self.slot = Slot(
            self.flavor, each["gpus"], each["memory_gb"], is_any_width=True, usd_an_hour=each["usd_an_hour"]
        )
