"""Which process is meant, for ever: a pid comes again after a while, but not with the same start on the same boot.

Standard library only: the runner starts in a few hundredths of a second. Reads Linux' /proc.
"""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "THREADTUNE_FOLDER"
"""Holds the absolute attempt folder in the environment of everything that belongs to an attempt: two data folders
may both have a run 1, and neither may end the other's processes."""

PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """`start_ticks` is field 22 of /proc/<pid>/stat."""

    host: str
    boot_id: str
    pid: int
    start_ticks: int

    @property
    def is_alive(self) -> bool:
        """Whether this very process still runs; a zombie is dead. Asked on its own host only."""
        return self.boot_id == boot_id() and start_ticks(self.pid) == self.start_ticks


def identify(pid: int) -> Identity:
    """Raises ProcessLookupError for a process that is gone."""
    ticks = start_ticks(pid)
    if ticks is None:
        raise ProcessLookupError(pid)
    return Identity(socket.gethostname(), boot_id(), pid, ticks)


def boot_id() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it is gone or a zombie."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, so count from its end.
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])


def rss_bytes(pid: int) -> int:
    """Memory of one process that is resident; 0 if it is gone."""
    try:
        pages = (PROC / str(pid) / "statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def environments() -> Iterator[tuple[int, dict[str, str]]]:
    """Every process whose environment we may read, with it; neither zombies nor this process."""
    for entry in PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text:
            yield int(entry.name), dict(line.partition("=")[::2] for line in text.split("\0"))


def processes_of(folder: Path) -> list[int]:
    """The processes that belong to an attempt, its runner included."""
    return [pid for pid, environment in environments() if environment.get(FOLDER_VARIABLE) == str(folder)]
