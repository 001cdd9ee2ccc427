"""Children that behave as children do, good and bad: `python children.py KIND RUN_FOLDER`, or with a play's name first.

Which one is played stands in the run's folder, in the file `play`. Standard library only, so that they start at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Reports:
    """Writes an attempt's events, with the standard library alone."""

    def __init__(self, run_folder: Path) -> None:
        self.run, _, self.attempt = os.environ["THREADTUNE_ATTEMPT"].rpartition("/")
        self.folder = run_folder / "attempts" / self.attempt
        self.seq = 0

    def write(self, kind: str, **data: object) -> None:
        self.seq += 1
        head = {"v": 1, "run": self.run, "attempt": self.attempt, "seq": self.seq, "at": time.time(), "kind": kind}
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps({**head, **data}) + "\n")


def reports(log: Reports) -> int:
    log.write("started", steps=3)
    for step in (1, 2, 3):
        log.write("step", step=step, steps=3, loss=1.0 / step)
    (log.folder / "output").mkdir()
    (log.folder / "output" / "model.txt").write_text("weights")
    log.write("finished")
    return 0


def delivers(log: Reports) -> int:
    log.write("started")
    log.write("finished")
    return 0


def works(log: Reports) -> int:
    """Until it is told to stop."""
    log.write("started", steps=1000)
    step = 0
    while not (log.folder / "stop").exists():
        step += 1
        log.write("step", step=step, steps=1000, loss=1.0)
        time.sleep(0.02)
    log.write("stopped", step=step, steps=1000)
    return 0


def breaks(log: Reports) -> int:
    log.write("started", steps=3)
    return 3


def leaves_early(log: Reports) -> int:
    log.write("started", steps=3)
    return 0


def is_killed(log: Reports) -> int:
    log.write("started", steps=3)
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def ignores_the_wish(log: Reports) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    log.write("started", steps=3)
    time.sleep(60)
    return 0


def leaves_a_grandchild(log: Reports) -> int:
    subprocess.Popen(["sleep", "60"], start_new_session=True)  # noqa: S607
    log.write("finished")
    return 0


def has_a_grandchild(log: Reports) -> int:
    subprocess.Popen(["sleep", "60"], start_new_session=True)  # noqa: S607
    return works(log)


def has_an_orphan(log: Reports) -> int:
    subprocess.run(["/bin/sh", "-c", "setsid sleep 61 & true"], check=True)
    return works(log)


def prints_a_lot(log: Reports) -> int:
    for number in range(300_000):
        sys.stdout.write(f"line {number} of very many that nobody reads\n")
    sys.stderr.write("the last words\n")
    log.write("finished")
    return 0


def allocates(log: Reports) -> int:
    held = bytearray(os.urandom(1 << 10) * (64 << 10))
    log.write("started", steps=len(held))
    return works(log)


def looks_around(log: Reports) -> int:
    """Reports its environment, niceness, standard input and session."""
    seen = {"nice": os.nice(0), "stdin": sys.stdin.read(), "leads": os.getsid(0) == os.getpid(), "cwd": str(Path.cwd())}
    log.write("warning", text=json.dumps({"environment": dict(os.environ), **seen}))
    log.write("finished")
    return 0


def by_method(log: Reports) -> int:
    """Fetch and push just finish; the training plays what the spec's method says."""
    run_folder = log.folder.parents[1]
    method = json.loads((run_folder / "spec.json").read_text())["method"]
    return (PLAYS[method] if log.attempt.startswith("train-") else delivers)(log)


PLAYS = {
    play.__name__: play
    for play in (
        *(reports, works, breaks, leaves_early, is_killed, ignores_the_wish),
        *(leaves_a_grandchild, has_a_grandchild, has_an_orphan, prints_a_lot, allocates, looks_around, by_method),
    )
}

if __name__ == "__main__":
    run_folder = Path(sys.argv[2])
    sys.exit(PLAYS[(run_folder / "play").read_text()](Reports(run_folder)))
