"""The small process around every child: `python -m engine.work.runner ATTEMPT_FOLDER [GRACE_S] -- argv …`

It outlives the bot, and the child does not outlive it. In the attempt's folder it writes `runner.json` (who it is),
`heartbeat.json` every two seconds, `log.txt` (what the child prints) and, last and whole, `exit.json`; it watches
`stop`. Standard library only, so that it starts at once.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO

from engine.work.identity import FOLDER_VARIABLE, identify, processes_of, rss_bytes

GRACE_S = 30.0
"""How long a child may take to end by itself after `stop`; then SIGTERM, and as long again, 10 s at most, SIGKILL."""
DROP_GRACE_S = 5.0
FORCE_S = 10.0
HEARTBEAT_S = 2.0
LOOK_S = 0.1
LOG_BYTES = 8 << 20

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LIBC = ctypes.CDLL(None)


class Log:
    """`log.txt`: the latest output, at most `limit` bytes of it."""

    def __init__(self, path: Path, limit: int = LOG_BYTES) -> None:
        self.path = path
        self.limit = limit
        self.file = path.open("ab", buffering=0)

    def write(self, text: bytes) -> None:
        with contextlib.suppress(OSError):  # a full disk costs the log, not the training
            self.file.write(text)
            if self.file.tell() > self.limit:
                self._keep_the_latest()

    def _keep_the_latest(self) -> None:
        latest = self.path.read_bytes()[-(self.limit // 2) :]
        write_whole(self.path, b"[earlier lines were left out]\n" + latest)
        self.file.close()
        self.file = self.path.open("ab", buffering=0)


class Stop:
    """The wish to end, and how far it has been enforced: `asked_at` is monotonic seconds, None while nobody asked."""

    def __init__(self, file: Path, grace_s: float) -> None:
        self.file = file
        self.grace_s = grace_s
        self.asked_at: float | None = None
        self.sent: int = 0

    def ask(self) -> None:
        """Somebody ends the runner itself: the child gets the same chance to save."""
        self.file.write_text("save")

    def due_signal(self, now: float) -> int:
        """The signal to send now, 0 for none; each is due once."""
        wish = read_text(self.file)
        if wish is None:
            return 0
        if self.asked_at is None:
            self.asked_at = now
        grace_s = min(self.grace_s, DROP_GRACE_S) if wish.strip() == "drop" else self.grace_s
        waited_s = now - self.asked_at
        due = [signal.SIGTERM] * (waited_s >= grace_s) + [signal.SIGKILL] * (
            waited_s >= grace_s + min(grace_s, FORCE_S)
        )
        if not due or due[-1] == self.sent:
            return 0
        self.sent = due[-1]
        return self.sent


def run(folder: Path, grace_s: float, argv: list[str]) -> None:
    """Run the child to its end and leave `exit.json`; returns at once where the attempt was already started."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "runner.lock").open("w") as lock:
        if not is_first(folder, lock):
            return
        prepare_self(folder)
        write_json(folder / "runner.json", asdict(identify(os.getpid())))
        stop = Stop(folder / "stop", grace_s)
        signal.signal(signal.SIGTERM, lambda *_: stop.ask())
        # Who was ended before it began starts nothing, however late an executor brings it here.
        code = -signal.SIGTERM if stop.file.exists() else run_child(argv, folder, stop, Log(folder / "log.txt"))
        write_json(folder / "exit.json", {"code": code, "at": time.time(), "was_stopped": stop.file.exists()})


def is_first(folder: Path, lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return not (folder / "runner.json").exists() and not (folder / "exit.json").exists()


def prepare_self(folder: Path) -> None:
    """A session of its own, safe from a terminal's signals; the child's orphans come to us; last in line for CPU."""
    os.environ[FOLDER_VARIABLE] = str(folder)
    os.chdir(folder)  # what a library writes "here" stays with the attempt
    if os.getsid(0) != os.getpid():
        os.setsid()
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.nice(19)


def run_child(argv: list[str], folder: Path, stop: Stop, log: Log) -> int:
    """The child's exit code, negative for a signal, once nothing that belongs to the attempt runs any more."""
    try:
        child = start(argv)
    except OSError as error:
        log.write(f"{argv[0]} cannot be started: {error}\n".encode())
        return 127
    with child:
        attend(child, folder, stop, log)
        sweep(folder)
        while carry(child, log, 0):
            pass
    return child.returncode


def start(argv: list[str]) -> subprocess.Popen[bytes]:
    runner = os.getpid()

    def die_with_runner() -> None:
        # The signal comes when the thread that forked ends, so this is called from the main thread only;
        # and a runner that was killed before the call is noticed by the changed parent.
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != runner:
            os._exit(1)

    return subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_runner,
        process_group=0,
    )


def attend(child: subprocess.Popen[bytes], folder: Path, stop: Stop, log: Log) -> None:
    """Until the child ends: carry its output into the log, beat, and enforce the wish to end."""
    beat_at = 0.0
    while child.poll() is None:
        now = time.monotonic()
        if now >= beat_at:
            beat(folder, child.pid)
            beat_at = now + HEARTBEAT_S
        due = stop.due_signal(now)
        if due:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, due)
        if not carry(child, log, LOOK_S):
            time.sleep(LOOK_S)


def beat(folder: Path, pid: int) -> None:
    with contextlib.suppress(OSError):
        write_json(folder / "heartbeat.json", {"at": time.time(), "pid": pid, "rss_bytes": rss_bytes(pid)})


def carry(child: subprocess.Popen[bytes], log: Log, wait_s: float) -> bool:
    """Move what the child printed, waiting `wait_s` at most for it; False once its output is closed."""
    assert child.stdout is not None  # noqa: S101
    ready, _, _ = select.select([child.stdout], [], [], wait_s)
    text = os.read(child.stdout.fileno(), 1 << 16) if ready else b""
    log.write(text)
    return bool(text) or (not ready and wait_s > 0)


def sweep(folder: Path) -> None:
    """Kill whatever the attempt left behind, in whatever session, and bury it."""
    until = time.monotonic() + FORCE_S
    while (left := processes_of(folder)) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        bury()
        time.sleep(0.01)
    bury()


def bury() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def read_text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def write_json(path: Path, values: dict[str, object]) -> None:
    write_whole(path, json.dumps(values).encode())


def write_whole(path: Path, content: bytes) -> None:
    """The file is there whole or not at all, whatever dies meanwhile."""
    half = path.with_name(path.name + ".half")
    with half.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)


def main(words: list[str]) -> None:
    at = words.index("--")
    folder, *grace = words[:at]
    run(Path(folder).resolve(), float(grace[0]) if grace else GRACE_S, words[at + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
