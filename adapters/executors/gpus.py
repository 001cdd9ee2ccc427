"""The GPUs of this machine as nvidia-smi sees them: which there are, and which somebody else is using."""

import csv
import os
import subprocess
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from engine.executor import Slot
from engine.work.identity import FOLDER_VARIABLE, environments

FREE_MIB = 1024.0
"""A GPU that nobody uses may still hold so much: contexts of a display, a driver that stays awake."""
LOOK_S = 10.0


def find_slots() -> list[Slot]:
    """A slot per GPU, named by its UUID; without one, the machine itself."""
    found = gpus(ask("--query-gpu=index,uuid,memory.total"), os.environ.get("CUDA_VISIBLE_DEVICES"))
    return found or [Slot("cpu", 0, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9)]


def ask(query: str) -> str:
    """What nvidia-smi says, a line each; empty without a working driver."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def gpus(lines: str, visible: str | None) -> list[Slot]:
    """The GPUs of `index, UUID, memory in MiB` that CUDA_VISIBLE_DEVICES lets us see, by index or by UUID."""
    words = None if visible is None else visible.split(",")
    seen = [row for row in rows(lines) if words is None or row[0] in words or row[1] in words]
    return [Slot(uuid, 1, float(mib) * 2**20 / 1e9) for _, uuid, mib in seen]


def rows(lines: str) -> Iterable[list[str]]:
    return [[cell.strip() for cell in row] for row in csv.reader(lines.splitlines()) if row]


def in_use(memory: str, processes: str, ours: Collection[int], held: Collection[str]) -> frozenset[str]:
    """The UUIDs of GPUs that are not to be taken: a process that is none of `ours` computes there, or much memory is
    in use that no attempt of ours holds (`held`): of somebody whom we cannot see, or of one that is just ending.

    `memory` is lines of `UUID, used MiB`, `processes` of `UUID, pid`.
    """
    foreign = {uuid for uuid, pid in rows(processes) if pid.isdigit() and int(pid) not in ours}
    full = {uuid for uuid, mib in rows(memory) if mib.replace(".", "").isdigit() and float(mib) > FREE_MIB}
    return frozenset(foreign | (full - set(held)))


def look() -> frozenset[str]:
    """Takes up to seconds."""
    marked = {pid: values for pid, values in environments() if FOLDER_VARIABLE in values}
    held = {values.get("CUDA_VISIBLE_DEVICES", "") for values in marked.values()}
    memory = ask("--query-gpu=uuid,memory.used")
    return in_use(memory, ask("--query-compute-apps=gpu_uuid,pid"), marked, held) if memory else frozenset()


class Neighbours:
    """Which GPUs others use, as of some seconds ago: asked in a thread of its own, since nvidia-smi may take long."""

    def __init__(self, look_s: float = LOOK_S) -> None:
        self.look_s = look_s
        self.looked_at = -look_s
        self.busy: frozenset[str] = frozenset()
        self.has_looked = Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gpus")

    def busy_gpus(self) -> frozenset[str]:
        """The last that was seen; the first time it is waited for."""
        now = time.monotonic()
        if now - self.looked_at >= self.look_s:
            self.looked_at = now
            self._thread.submit(self._look)
            self.has_looked.wait(25)
        return self.busy

    def _look(self) -> None:
        self.busy = look()
        self.has_looked.set()
