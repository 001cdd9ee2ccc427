"""What the console brings along: a local Hub that lives as long as it, and no longer."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from adapters.chat.console.local import local_hub

HOLD = "import sys, time; from pathlib import Path; from adapters.chat.console.local import local_hub\n"
HOLD += "with local_hub(Path(sys.argv[1])) as hub: print(hub.endpoint, flush=True); time.sleep(60)"


def test_a_local_hub_serves_while_the_block_runs(tmp_path: Path) -> None:
    with local_hub(tmp_path) as hub:
        assert hub.token and hub.endpoint in hub.pages
        assert hubs(tmp_path)
    assert hubs(tmp_path) == []


def test_a_local_hub_ends_with_a_console_that_was_killed(tmp_path: Path) -> None:
    console = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert console.stdout and console.stdout.readline().startswith("http://")
    assert len(hubs(tmp_path)) == 1
    os.kill(console.pid, signal.SIGKILL)
    console.wait(10)
    console.stdout.close()
    deadline = time.monotonic() + 20
    while hubs(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert hubs(tmp_path) == []


def hubs(data: Path) -> list[int]:
    """The local Hubs that run over this folder."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"adapters.localhub" in words and str(data).encode() in words:
                found.append(int(folder.name))
    return found
