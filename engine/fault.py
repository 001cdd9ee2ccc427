"""Named points at which a test lets a process die, to see that nothing is lost there. Without FAULT they do nothing.

`FAULT=outbox.posted:2:/tmp/reached` kills the process that is the second time at that point, and only once: the file,
written before, tells that the point was reached, and keeps the next process alive there. `pause` before the point, as
in `pause@outbox.posted:1:/tmp/reached`, stops the process instead, until somebody continues it.
"""

import os
import signal
from collections import Counter
from pathlib import Path

VARIABLE = "FAULT"
passed: Counter[str] = Counter()


def point(name: str) -> None:
    """The process comes by here."""
    wanted = os.environ.get(VARIABLE, "")
    if not wanted:
        return
    where, count, reached = wanted.split(":", 2)
    verb, _, where = where.rpartition("@")
    passed[name] += 1
    if where != name or passed[name] != int(count) or Path(reached).exists():
        return
    with Path(reached).open("w") as file:
        file.write(f"{name} in process {os.getpid()}\n")
        file.flush()
        os.fsync(file.fileno())
    os.kill(os.getpid(), signal.SIGSTOP if verb == "pause" else signal.SIGKILL)
