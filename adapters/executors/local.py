"""Attempts on this machine: each under its own runner, found again by its folder after a restart of the bot.

A handle's id is the attempt's folder relative to the folder of all runs, e.g. `7/attempts/train-1`.
"""

import asyncio
import contextlib
import errno
import os
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.executors.attempts import Record, Reports, copy_all, leave_wish, read_json, wanted_gpus
from adapters.executors.gpus import Neighbours, find_slots
from adapters.executors.pulse import LAPSE_S, Pulse
from engine.events import Event
from engine.executor import Handle, Phase, Slot
from engine.folder import ATTEMPT_VARIABLE
from engine.jobs import Attempt
from engine.refusal import Refusal
from engine.work.identity import FOLDER_VARIABLE, Identity, boot_id, environments, processes_of

CODE = Path(__file__).parents[2]
"""Where the rooms lie."""

PASSED = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONHASHSEED"),
    *("FAULT", "CUDA_HOME", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HF_HOME", "XDG_CACHE_HOME"),
)
"""The variables that children inherit. A list of what is allowed: a token that nobody thought of stays out."""

PASSED_TO_THE_HUB = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
)

ON_EXECUTOR = ("train", "ask")
"""The kinds of attempts that get a slot and no token; the others run on our side."""

ALONE = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_TOKEN_PATH": os.devnull,
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
}
"""What these get besides: a training never speaks to the Hub, and finds no token, not even the one of the person who
installed the bot."""

SECRET = re.compile(r"(TOKEN|SECRET|PASSWORD|KEY)$")


class Taken(Exception):
    """The machine has no room just now, though it had when the attempt was stored: it is submitted at the next tick."""


SHORT = (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What passes by itself: too many processes, too little memory, too many open files."""

LEFT_TO_ANOTHER, BROKEN = 0, -1
"""What stands for the pid of a runner that ended without a record: well, since another one has the attempt, or not."""


class LocalExecutor:
    """PORT Executor, on this machine.

    `environments` adds variables per kind of child (`fetch`, `train`, `push`). `slots` says what room there is;
    left out, it is one per GPU that nvidia-smi lists, or one for the CPU. `grace_s` is how long a child may take
    to end by itself. `program` is what `python` runs, before the kind and the run's folder. `lapse_s` is how long an
    attempt on another host may have no heartbeat.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        python: str,
        environments: Mapping[str, Mapping[str, str]],
        slots: Sequence[Slot] | None = None,
        grace_s: float = 30.0,
        program: Sequence[str] = ("-P", "-m", "engine"),
        lapse_s: float = LAPSE_S,
    ) -> None:
        secrets = [variable for variable in environments.get("train", {}) if SECRET.search(variable)]
        if secrets:
            raise ValueError(f"training must not be given {', '.join(secrets)}")
        self.name = name
        self.root = root.resolve()
        self.python = python
        self.environments = environments
        self.grace_s = grace_s
        self.program = program
        self.lapse_s = lapse_s
        self._pulse = Pulse(lapse_s)
        self._slots = list(slots) if slots is not None else find_slots()
        self._neighbours = Neighbours()
        self._runners: dict[Handle, int] = {}
        self._reports = Reports()

    def slots(self) -> list[Slot]:
        """Without the GPUs that somebody else is using."""
        if not any(slot.gpus for slot in self._slots):
            return self._slots
        busy = self._neighbours.busy_gpus()
        return [slot for slot in self._slots if slot.name not in busy]

    def handle_for(self, attempt: Attempt) -> Handle:
        return Handle(self.name, f"{attempt.run}/attempts/{attempt.name}")

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        """Raises Refusal where the machine cannot start it."""
        folder = self._folder(handle)
        if handle in self._runners or (folder / "runner.json").exists() or (folder / "exit.json").exists():
            return
        variables = self._variables(attempt, folder)
        folder.mkdir(parents=True, exist_ok=True)
        command = [self.python, *self.program, attempt.kind, str(folder.parents[1])]
        try:
            self._runners[handle] = start_runner(self.python, folder, self.grace_s, command, variables)
        except OSError as error:
            if error.errno in SHORT:
                raise Taken(f"no process can be started: {error.strerror}") from error
            raise Refusal(f"{self.python} cannot be started on {socket.gethostname()}: {error.strerror}.") from error

    async def observe(self, handle: Handle) -> Phase:
        folder = self._folder(handle)
        if handle.executor != self.name or not folder.exists():
            return Phase("unknown", detail=f"{self.name} knows no attempt {handle.id}")
        is_running = self._is_running(handle)  # asked before its records are read: it writes them before it ends
        runner = read_json(folder / "runner.json")
        is_running = is_running or (runner is not None and Identity(**runner).is_alive)
        if record := read_json(folder / "exit.json"):
            return Phase("exited", code=record["code"])
        if runner and runner["host"] != socket.gethostname():
            return self._elsewhere(folder, runner["host"])
        if is_running:
            return Phase("running" if runner else "pending")
        return self._gone(handle, runner)

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        return self._reports.after(self._folder(handle), after_seq)

    async def cancel(self, handle: Handle, save: bool) -> None:
        folder = self._folder(handle)
        if folder.exists() and not (folder / "exit.json").exists():
            leave_wish(folder, "save" if save else "drop")

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        await asyncio.to_thread(copy_all, self._folder(handle), names, target)

    async def list(self) -> list[Handle]:
        found = await asyncio.to_thread(lambda: list(environments()))
        marked = {values.get(FOLDER_VARIABLE, "") for _, values in found}
        ours = sorted(Path(folder) for folder in marked if folder and Path(folder).is_relative_to(self.root))
        at_work = [folder for folder in ours if not (folder / "exit.json").exists()]
        return [Handle(self.name, str(folder.relative_to(self.root))) for folder in at_work]

    def _folder(self, handle: Handle) -> Path:
        return self.root / handle.id

    def _is_running(self, handle: Handle) -> bool:
        """Whether the runner that this object started still runs; buries it if not, and keeps how it ended."""
        pid = self._runners.get(handle, LEFT_TO_ANOTHER)
        if pid > 0:
            buried, status = os.waitpid(pid, os.WNOHANG)
            if buried:
                self._runners[handle] = LEFT_TO_ANOTHER if status == 0 else BROKEN
        return self._runners.get(handle, LEFT_TO_ANOTHER) > 0

    def _elsewhere(self, folder: Path, host: str) -> Phase:
        """A container that was made anew has another host name, and took its processes along: the heartbeat tells.

        One that comes back all the same finds the wish that it should end.
        """
        if self._pulse.silent_s(folder) < self.lapse_s:
            return Phase("unknown", detail=f"it runs on {host}")
        leave_wish(folder, "drop")
        return Phase("lost", detail=f"it ran on {host}, and its heartbeat has stopped")

    def _gone(self, handle: Handle, runner: Record | None) -> Phase:
        """What can be said of an attempt whose runner does not run and left no exit record."""
        if runner is None and self._runners.get(handle, LEFT_TO_ANOTHER) == LEFT_TO_ANOTHER:
            return Phase("pending", detail="its runner has not said yet who it is")
        for pid in processes_of(self._folder(handle)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if runner is None:
            return Phase("lost", detail="it could not be started; its log says why")
        has_restarted = runner["boot_id"] != boot_id()
        return Phase("lost", detail="the machine restarted" if has_restarted else "its process was killed")

    def _variables(self, attempt: Attempt, folder: Path) -> dict[str, str]:
        names = PASSED if attempt.kind in ON_EXECUTOR else PASSED + PASSED_TO_THE_HUB
        passed = {name: os.environ[name] for name in names if name in os.environ}
        alone = ALONE if attempt.kind in ON_EXECUTOR else {}
        ours = {ATTEMPT_VARIABLE: f"{attempt.run}/{attempt.name}", FOLDER_VARIABLE: str(folder)}
        added = self.environments.get(attempt.kind, {})
        devices = self._devices(attempt.kind, wanted_gpus(attempt.run_folder))
        return {**passed, **python_path(), **alone, **added, **devices, **ours}

    def _devices(self, kind: str, count: int) -> dict[str, str]:
        """GPUs that no attempt uses; none for what runs on our side. Where we know of none, torch may still."""
        gpus = [slot.name for slot in self.slots() if slot.gpus]
        if kind not in ON_EXECUTOR:
            return {"CUDA_VISIBLE_DEVICES": ""}
        if not any(slot.gpus for slot in self._slots):
            return {}
        marked = [values for _, values in environments() if FOLDER_VARIABLE in values]
        taken = {gpu for values in marked for gpu in values.get("CUDA_VISIBLE_DEVICES", "").split(",")}
        free = [gpu for gpu in gpus if gpu not in taken]
        if count > len(self._slots):
            raise Refusal(f"gpus={count} is more than {socket.gethostname()} has: {len(self._slots)}.", "gpus")
        if len(free) < count:
            raise Taken(f"every GPU of {socket.gethostname()} is in use")
        return {"CUDA_VISIBLE_DEVICES": ",".join(free[:count])}


def make(root: Path, python: str, environments: Mapping[str, Mapping[str, str]]) -> LocalExecutor:
    """The executor as the bot starts it; `root` holds the runs' folders."""
    return LocalExecutor("local", root, python, environments)


def start_runner(python: str, folder: Path, grace_s: float, command: list[str], variables: Mapping[str, str]) -> int:
    """The pid of a new runner, in a session of its own; it and what it prints outlive us. Raises OSError."""
    log = str(folder / "log.txt")
    argv = [python, "-P", "-m", "engine.work.runner", str(folder), str(grace_s), "--", *command]
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, append, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawnp(python, argv, variables, file_actions=files, setsid=True)


def python_path() -> dict[str, str]:
    """So that another interpreter finds the rooms in a checkout; an installed package is found without."""
    is_installed = CODE.name in ("site-packages", "dist-packages")
    return {} if is_installed else {"PYTHONPATH": str(CODE)}
