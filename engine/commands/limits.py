"""The limits that a check puts on its own process, so that no file can take the machine with it."""

import contextlib
import resource
import signal
from types import FrameType
from typing import NoReturn

from engine.refusal import Refusal

MB = 1 << 20
DATA_MB = 2_000
"""Memory that is really written; a check takes about a tenth of it."""
ADDRESS_MB = 16_000
"""Address space, most of which threads and Arrow's allocator only reserve, more on more cores."""
FILE_MB = 1_000
FILE_RATIO = 40
"""What may be written: rows as JSONL and Arrow are larger than their file, a compressed one may grow twentyfold."""
SECONDS = 60
SECONDS_A_MB = 2


def limit(size: int) -> None:
    """Bound this process for a file of `size` bytes: memory, processor time, what it writes, no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_DATA, DATA_MB * MB + size)
    _lower(resource.RLIMIT_AS, ADDRESS_MB * MB + size)
    _lower(resource.RLIMIT_FSIZE, FILE_MB * MB + FILE_RATIO * size)
    _lower(resource.RLIMIT_CPU, SECONDS + SECONDS_A_MB * (size // MB))
    signal.signal(signal.SIGXCPU, _out_of_time)


def _lower(what: int, value: int) -> None:
    """Set the soft limit; the hard one is a little higher, so that there is time for a word."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(what)[1]
        top = value + max(value // 4, 5) if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(what, (min(value, top), top))


def _out_of_time(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise Refusal("Checking this file takes too long; split it, or send it in another form (JSONL).")
