"""Attempts as jobs of a Ray cluster, each under our runner on a node, in a folder that both sides reach.

What Ray says is a hint. The truth is what lies in the attempt's folder: `exit.json`, the events, the heartbeat. An
attempt is given up only when its heartbeat has stopped, and then a `stop` is left, which ends it should it come back.
A handle's id is the attempt's folder relative to the folder of all runs, as on this machine.
"""

import asyncio
import contextlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from adapters.executors.apart import (
    ENDED_BEFORE,
    FORCE_S,
    PENDING_S,
    SILENT_S,
    bring_model,
    installation,
)
from adapters.executors.attempts import Reports, copy_all, leave_wish, read_json, wanted_gpus, write_json
from adapters.executors.carry import Carried, is_location
from adapters.executors.local import ALONE, ON_EXECUTOR
from adapters.executors.pulse import LAPSE_S, Pulse
from adapters.executors.ray.jobs import OVER, Jobs, Unreachable
from adapters.executors.ray.settings import RaySettings
from engine.events import Event
from engine.executor import Handle, Phase, Slot
from engine.folder import ATTEMPT_VARIABLE, RunFolder
from engine.jobs import Attempt
from engine.refusal import Refusal
from engine.work.identity import FOLDER_VARIABLE


class RayExecutor:
    """PORT Executor, on a Ray cluster. `program` is what the node's interpreter runs, before kind and folder."""

    def __init__(
        self,
        name: str,
        root: Path,
        settings: RaySettings,
        program: Sequence[str] = ("-P", "-m", "engine"),
        pending_s: float = PENDING_S,
        silent_s: float = SILENT_S,
        lapse_s: float = LAPSE_S,
    ) -> None:
        self.name = name
        self.root = root.resolve()
        self.settings = settings
        self.program = program
        self.pending_s = pending_s
        self.silent_s = silent_s
        self.jobs = Jobs(settings.jobs_url, settings.auth_token.get_secret_value())
        self.carried = Carried(settings.runs, self.root) if is_location(settings.runs) else None
        self._pulse = Pulse(lapse_s)
        self._reports = Reports()

    def slots(self) -> list[Slot]:
        gpus = min(1, self.settings.node_gpus)
        slot = Slot(self.name, gpus, self.settings.slot_gb, is_any_width=True)
        return [replace(slot, name=f"{self.name}-{number}") for number in range(self.settings.slots)]

    def handle_for(self, attempt: Attempt) -> Handle:
        return Handle(self.name, f"{attempt.run}/attempts/{attempt.name}")

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        folder = self._folder(handle)
        if (folder / "submitted.json").exists() or (folder / "exit.json").exists():
            return
        folder.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(bring_model, RunFolder(folder.parents[1]))
        if self.carried:
            await self.carried.send(handle.id)
        gpus = wanted_gpus(folder.parents[1])
        more = {"metadata": {"threadtune": installation(self.root), "attempt": handle.id}, **self._resources(gpus)}
        await self.jobs.start(
            self._job(handle), self._entrypoint(attempt, handle, gpus), self._variables(attempt, handle), more
        )
        write_json(folder / "submitted.json", {"at": time.time()})

    async def observe(self, handle: Handle) -> Phase:
        folder = self._folder(handle)
        if handle.executor != self.name or not folder.exists():
            return Phase("unknown", detail=f"{self.name} knows no attempt {handle.id}")
        try:
            if self.carried:
                await self.carried.fetch(handle.id)
            if said := self._said(folder):
                return said
            if (folder / "runner.json").exists():
                return await self._started(handle, folder)
            return await self._before_start(handle, folder)
        except Unreachable as error:
            return Phase("unknown", detail=str(error))

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        if self.carried and self._folder(handle).exists():
            await self.carried.fetch(handle.id)
        return self._reports.after(self._folder(handle), after_seq)

    async def cancel(self, handle: Handle, save: bool) -> None:
        folder = self._folder(handle)
        if not folder.exists() or (folder / "exit.json").exists():
            return
        await self._wish(handle, "save" if save else "drop")
        if not (folder / "runner.json").exists():
            with contextlib.suppress(Unreachable):  # the runner reads the wish before it starts anything
                await self.jobs.stop(self._job(handle))

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        if self.carried:
            await self.carried.fetch(handle.id, is_over=True)
        await asyncio.to_thread(copy_all, self._folder(handle), names, target)

    async def list(self) -> list[Handle]:
        ours = [job for job in await self.jobs.jobs() if job["status"] not in OVER]
        mine = installation(self.root)
        ids = [job["metadata"]["attempt"] for job in ours if (job.get("metadata") or {}).get("threadtune") == mine]
        at_work = sorted(id for id in ids if not (self.root / id / "exit.json").exists())
        return [Handle(self.name, id) for id in at_work]

    def _folder(self, handle: Handle) -> Path:
        return self.root / handle.id

    def _said(self, folder: Path) -> Phase | None:
        record = read_json(folder / "exit.json")
        return Phase("exited", code=record["code"]) if record else None

    async def _started(self, handle: Handle, folder: Path) -> Phase:
        """Its runner has said who it is: its heartbeat tells more than Ray does."""
        silent_s = self._pulse.silent_s(folder)
        if silent_s < self._pulse.lapse_s:
            await self._enforce(handle, folder)
            return Phase("running")
        job = await self.jobs.job(self._job(handle))
        if job and job["status"] not in OVER and silent_s < self.silent_s:
            return Phase("running", detail=f"no heartbeat for {silent_s:.0f} s")
        return await self._given_up(handle, folder, job)

    async def _before_start(self, handle: Handle, folder: Path) -> Phase:
        submitted = read_json(folder / "submitted.json")
        if submitted is None:
            return Phase("pending", detail="it was not given to the cluster yet")
        job = await self.jobs.job(self._job(handle))
        if job is None or job["status"] in OVER:
            return await self._given_up(handle, folder, job)
        has_wish, has_started = (folder / "stop").exists(), (folder / "runner.json").exists()
        if has_wish and not has_started:
            # Ray would start it first and end it then; the runner starts nothing where a wish lies.
            await self.jobs.stop(self._job(handle))
            return ENDED_BEFORE
        if job["status"] == "PENDING" and time.time() > submitted["at"] + self.pending_s:
            await self._wish(handle, "drop")
            await self.jobs.stop(self._job(handle))
            raise Refusal(
                f"The cluster had no room for the run in {self.pending_s / 60:.0f} minutes: it asks for "
                f"{in_words(wanted_gpus(folder.parents[1]), self.settings)}."
            )
        return Phase("pending", detail=str(job.get("message") or ""))

    async def _given_up(self, handle: Handle, folder: Path, job: dict[str, object] | None) -> Phase:
        """It is gone, unless its last words came meanwhile; one that comes back finds the wish to end."""
        await asyncio.sleep(0.2)
        if self.carried:
            await self.carried.fetch(handle.id, is_over=True)
        if said := self._said(folder):
            return said
        if (folder / "runner.json").exists() and self._pulse.silent_s(folder) < self._pulse.lapse_s:
            return Phase("running", detail="Ray says that it ended, its heartbeat says that it did not")
        await self._wish(handle, "drop")
        with contextlib.suppress(Unreachable):
            await self.jobs.stop(self._job(handle))
        return Phase("lost", detail=why(job))

    async def _enforce(self, handle: Handle, folder: Path) -> None:
        """The runner enforces a wish itself; where it does not, Ray is asked to."""
        with contextlib.suppress(FileNotFoundError):
            waited_s = time.time() - (folder / "stop").stat().st_mtime
            if waited_s > 2 * self.settings.grace_s + FORCE_S:
                await self.jobs.stop(self._job(handle))

    async def _wish(self, handle: Handle, wish: str) -> None:
        folder = self._folder(handle)
        leave_wish(folder, wish)
        if self.carried:
            await self.carried.tell(handle.id, "stop")

    def _job(self, handle: Handle) -> str:
        return f"threadtune-{installation(self.root)}-{handle.id.replace('/attempts/', '-')}"

    def _there(self, handle: Handle) -> PurePosixPath:
        """The attempt's folder as the nodes see it."""
        is_elsewhere = self.settings.runs and not self.carried
        return PurePosixPath(self.settings.runs if is_elsewhere else self.root.as_posix()) / handle.id

    def _entrypoint(self, attempt: Attempt, handle: Handle, gpus: int) -> str:
        python, folder = self.settings.python, self._there(handle)
        if self.carried:
            where = (self.settings.runs, handle.id, str(self.settings.grace_s))
            return shlex.join(
                ["exec", python, "-P", "-m", "engine.work.elsewhere.carried", *where, "--", python, *self.program]
            )
        program = self.program
        if self.is_wide(gpus) and attempt.kind == "train":
            program = ("-P", "-m", "adapters.executors.ray.nodes", str(gpus), str(int(self.settings.node_gpus > 0)))
        child = [python, *program, attempt.kind, str(folder.parents[1])]
        runner = [python, "-P", "-m", "engine.work.runner", str(folder), str(self.settings.grace_s)]
        return shlex.join(["exec", *runner, "--", *child])

    def is_wide(self, gpus: int) -> bool:
        """Whether a run needs several nodes."""
        return gpus > max(1, self.settings.node_gpus)

    def _resources(self, gpus: int) -> dict[str, float]:
        """What the job itself asks for; one over several nodes only steers, and its workers ask for themselves."""
        if self.is_wide(gpus):
            return {"entrypoint_num_cpus": 0.1}
        on_gpus = gpus if self.settings.node_gpus else 0
        return {"entrypoint_num_cpus": self.settings.cpus * gpus, "entrypoint_num_gpus": on_gpus}

    def _variables(self, attempt: Attempt, handle: Handle) -> dict[str, str]:
        """No secret: everybody who may look at the cluster's dashboard reads them."""
        if attempt.kind not in ON_EXECUTOR:
            raise ValueError(f"{attempt.kind} does not belong on a cluster")
        ours = {ATTEMPT_VARIABLE: f"{attempt.run}/{attempt.name}", FOLDER_VARIABLE: str(self._there(handle))}
        ours["RAY_JOB_STOP_WAIT_TIME_S"] = f"{self.settings.grace_s + 15:.0f}"
        if not self.settings.node_gpus:
            ours["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides GPUs only from those who ask for some
        return {**ALONE, **ours}


def in_words(gpus: int, settings: RaySettings) -> str:
    cpus = f"{settings.cpus * gpus:g} CPUs"
    return f"{gpus} GPUs and {cpus}" if settings.node_gpus else cpus


def why(job: dict[str, object] | None) -> str:
    if job is None:
        return "the Ray cluster no longer knows it"
    said = str(job.get("message") or "").strip().split("\n")[0][:200].rstrip(".")
    return f"Ray says that it {str(job['status']).lower()}" + (f" ({said})" if said else "")
