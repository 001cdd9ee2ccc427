"""Attempts as jobs of Hugging Face. The run's folder goes there and back through a bucket that the job mounts.

Each call of the Hub is a child with a deadline, started in the background: `submit` and `observe` return at once with
what is known by then. What the Hub says of a job is a hint. The truth is what the attempt wrote; it is given up only
when its heartbeat has stopped, and then a wish to end is left in the bucket, should it come back.
A handle's id is the attempt's folder relative to the folder of all runs, as on this machine.
"""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.executors.apart import (
    ENDED_BEFORE,
    FORCE_S,
    PENDING_S,
    SILENT_S,
    bring_model,
    installation,
)
from adapters.executors.attempts import Reports, copy_all, leave_wish, read_json, wanted_gpus
from adapters.executors.hf_jobs.asking import MOUNT, OVER, Hardware, Unreachable, ask
from adapters.executors.hf_jobs.settings import HfJobsSettings
from adapters.executors.local import ALONE
from adapters.executors.pulse import LAPSE_S, Pulse
from engine.events import Event
from engine.executor import Handle, Phase, Slot
from engine.folder import ATTEMPT_VARIABLE, RunFolder
from engine.jobs import Attempt
from engine.refusal import Refusal

MOVE_S = 7200.0
"""Deadline of a call that moves a model."""
CALL_S = 120.0
MARGIN, LEAST_S = 2.0, 3600.0
"""A job may take so many times what its run was estimated to take, and an hour besides, before it is ended."""

AT_WORK: set[asyncio.Task[None]] = set()


@dataclass
class Seen:
    """What is known of an attempt besides its files: the stage of its job, and when it was looked at last.

    `known` has the hash of each report that was brought; `trouble` says why the last call failed.
    """

    stage: str = ""
    message: str = ""
    known: dict[str, str] = field(default_factory=dict)
    looked_at: float = 0.0
    is_lost: bool = False
    trouble: Exception | None = None
    work: asyncio.Task[None] | None = None


class HfJobsExecutor:
    """PORT Executor, on Hugging Face Jobs. `program` is what the image's interpreter runs, before kind and folder.

    `environment` has HF_ENDPOINT and HF_TOKEN for our own calls; nothing of it goes into a job.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        settings: HfJobsSettings,
        environment: Mapping[str, str],
        program: Sequence[str] = ("-P", "-m", "engine"),
        pending_s: float = PENDING_S,
        silent_s: float = SILENT_S,
        lapse_s: float = LAPSE_S,
    ) -> None:
        self.name = name
        self.root = root.resolve()
        self.settings = settings
        own = settings.token.get_secret_value()
        self.environment = {**environment, **({"HF_TOKEN": own} if own else {})}
        self.program = program
        self.pending_s = pending_s
        self.silent_s = silent_s
        self.hardware = Hardware(self.environment, settings.flavor)
        self._pulse = Pulse(lapse_s + 2 * settings.look_s)
        self._seen: dict[Handle, Seen] = {}
        self._reports = Reports()

    def slots(self) -> list[Slot]:
        """None while the Hub has not said what the hardware costs: nobody starts what he knows no price of."""
        slot = self.hardware.known()
        return [replace(slot, name=slot.name) for _ in range(self.settings.slots)] if slot else []

    def handle_for(self, attempt: Attempt) -> Handle:
        return Handle(self.name, f"{attempt.run}/attempts/{attempt.name}")

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        """Begin to send it; how far that is, `observe` says. Raises Refusal for what no job can do."""
        folder = self._folder(handle)
        if (folder / "submitted.json").exists() or (folder / "exit.json").exists():
            return
        if attempt.kind != "train":
            raise Refusal("A model that is asked has to be on a machine of ours: add local to EXECUTOR.", "EXECUTOR")
        slot, gpus = await asyncio.to_thread(self.hardware.known), wanted_gpus(attempt.run_folder)
        if slot and gpus > max(1, slot.gpus):
            raise Refusal(f"gpus={gpus} is more than a job on {slot.name} has: {slot.gpus}.", "gpus")
        folder.mkdir(parents=True, exist_ok=True)
        seen = self._seen.setdefault(handle, Seen())
        if seen.work is None:
            self._do(seen, self._send(handle))

    async def observe(self, handle: Handle) -> Phase:
        folder = self._folder(handle)
        if handle.executor != self.name or not folder.exists():
            return Phase("unknown", detail=f"{self.name} knows no attempt {handle.id}")
        seen = self._seen.setdefault(handle, Seen())
        if said := self._said(folder):
            return said
        if isinstance(seen.trouble, Refusal):
            raise seen.trouble
        submitted = read_json(folder / "submitted.json")
        self._go_on(handle, seen, submitted)
        if submitted is None:
            return Phase("pending", detail=str(seen.trouble or "its folder is on its way to the bucket"))
        if seen.is_lost:
            has_begun = (folder / "runner.json").exists()
            return ENDED_BEFORE if (folder / "stop").exists() and not has_begun else Phase("lost", detail=why(seen))
        if (folder / "runner.json").exists():
            return self._started(folder, seen)
        return self._before_start(folder, seen, float(submitted["at"]))

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        folder = self._folder(handle)
        if folder.exists() and not self._said(folder):
            self._go_on(handle, self._seen.setdefault(handle, Seen()), read_json(folder / "submitted.json"))
        return self._reports.after(folder, after_seq)

    async def cancel(self, handle: Handle, save: bool) -> None:
        """The next look passes the wish on."""
        folder = self._folder(handle)
        if folder.exists() and not (folder / "exit.json").exists():
            leave_wish(folder, "save" if save else "drop")
            self._seen.setdefault(handle, Seen()).looked_at = 0.0

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        await asyncio.to_thread(copy_all, self._folder(handle), names, target)

    async def list(self) -> list[Handle]:
        found = await self._ask(CALL_S, "jobs", labels={"threadtune": installation(self.root)})
        parts = (attempt.split("-", 1) for attempt in found["attempts"])
        ids = sorted(f"{run}/attempts/{name}" for run, name in parts)
        return [Handle(self.name, id) for id in ids if not (self.root / id / "exit.json").exists()]

    def _folder(self, handle: Handle) -> Path:
        return self.root / handle.id

    def _said(self, folder: Path) -> Phase | None:
        record = read_json(folder / "exit.json")
        return Phase("exited", code=record["code"]) if record else None

    def _go_on(self, handle: Handle, seen: Seen, submitted: dict[str, Any] | None) -> None:
        """The next call, where none is under way and it is time: to send what could not be sent, or to look."""
        is_due = time.monotonic() >= seen.looked_at + self.settings.look_s
        if not is_due or seen.is_lost or (seen.work and not seen.work.done()):
            return
        if submitted:
            self._do(seen, self._look(handle, seen, str(submitted["job"])))
        elif seen.trouble:
            self._do(seen, self._send(handle))

    def _do(self, seen: Seen, work: Coroutine[Any, Any, None]) -> None:
        seen.work = task = asyncio.create_task(self._kept(seen, work))
        AT_WORK.add(task)  # the loop itself holds no task
        task.add_done_callback(AT_WORK.discard)

    async def _kept(self, seen: Seen, work: Coroutine[Any, Any, None]) -> None:
        """What went wrong is kept for who observes: a background task has nobody to raise it to."""
        try:
            await work
            seen.trouble = None
        except (Refusal, Unreachable, OSError) as error:
            seen.trouble = error
        finally:
            seen.looked_at = time.monotonic()

    async def _send(self, handle: Handle) -> None:
        run, name = handle.id.split("/attempts/")
        folder = RunFolder(self.root / run)
        await asyncio.to_thread(bring_model, folder)
        settings, python = self.settings, self.settings.python
        carried = [python, "-P", "-m", "engine.work.elsewhere.carried", f"file://{MOUNT}", handle.id]
        await self._ask(
            MOVE_S,
            "start",
            handle,
            image=settings.image,
            flavor=settings.flavor,
            command=[*carried, f"{settings.grace_s:g}", "--", python, *self.program],
            env={**ALONE, ATTEMPT_VARIABLE: f"{run}/{name}"},
            timeout_s=timeout_s(folder.estimate_s(), settings.max_hours),
            name=f"threadtune-{run}-{name}",
            labels={"threadtune": installation(self.root), "attempt": f"{run}-{name}"},
        )

    async def _look(self, handle: Handle, seen: Seen, job: str) -> None:
        """Ask how the job stands; once it has ended, or is gone, bring everything."""
        folder = self._folder(handle)
        told = await self._ask(CALL_S, "look", handle, job=job, known=seen.known, is_forced=self._is_overdue(folder))
        seen.stage, seen.message, seen.known = told["stage"], told["message"], told["known"]
        silent_s = self._pulse.silent_s(folder)
        most_s = self._pulse.lapse_s if seen.stage in OVER else self.silent_s
        has_begun = (folder / "runner.json").exists()
        is_gone = silent_s > most_s if has_begun else seen.stage in OVER
        if told["has_ended"] or is_gone:
            await self._ask(MOVE_S, "finish", handle, job=job, known=seen.known, is_lost=not told["has_ended"])
            seen.is_lost = not (folder / "exit.json").exists()

    def _is_overdue(self, folder: Path) -> bool:
        """Whether a wish was left long ago: its runner enforces it, and where it does not, the Hub is asked to."""
        with contextlib.suppress(FileNotFoundError):
            return time.time() - (folder / "stop").stat().st_mtime > 2 * self.settings.grace_s + FORCE_S
        return False

    async def _ask(self, deadline_s: float, verb: str, handle: Handle | None = None, **asked: Any) -> dict[str, Any]:
        where: dict[str, Any] = {"namespace": self.settings.namespace}
        if handle:
            prefix = f"{installation(self.root)}/run-{handle.id.partition('/')[0]}"
            bucket = f"{self.settings.namespace}/{self.settings.bucket}"
            where |= {"bucket": bucket, "prefix": prefix, "root": str(self.root), "id": handle.id}
        return await ask(self.environment, deadline_s, verb, **where, **asked)

    def _started(self, folder: Path, seen: Seen) -> Phase:
        """Its runner has said who it is: its heartbeat tells more than the Hub does."""
        silent_s = self._pulse.silent_s(folder)
        if silent_s > self._pulse.lapse_s and seen.trouble:
            return Phase("unknown", detail=str(seen.trouble))
        return Phase("running", detail=f"no heartbeat for {silent_s:.0f} s" if silent_s > self._pulse.lapse_s else "")

    def _before_start(self, folder: Path, seen: Seen, submitted_at: float) -> Phase:
        if seen.trouble:
            return Phase("unknown", detail=str(seen.trouble))
        if seen.stage == "SCHEDULING" and time.time() > submitted_at + self.pending_s:
            leave_wish(folder, "drop")
            raise Refusal(
                f"Hugging Face had no {self.settings.flavor} free for the run in {self.pending_s / 60:.0f} minutes."
            )
        return Phase("pending", detail=f"the job is {seen.stage.lower()}" if seen.stage else "")


def timeout_s(estimate_s: float, max_hours: float) -> int:
    """How long a job may run, from what its run was estimated to take; 0 is an estimate that nobody made."""
    most = max_hours * 3600
    return int(min(most, LEAST_S + MARGIN * estimate_s) if estimate_s else most)


def why(seen: Seen) -> str:
    said = seen.message.strip().split("\n")[0][:200].rstrip(".")
    words = {"": "is silent", "RUNNING": "runs, but it is silent"}.get(seen.stage, f"ended: {seen.stage.lower()}")
    return f"Hugging Face says that the job {words}" + (f" ({said})" if said else "")
