"""Children that are quick and honest: `child.py KIND RUN_FOLDER`. The push looks before it commits, as the real one.

`COMMITS` is the Hub: a file with one commit a line. Standard library only.
"""

import json
import os
import sys
import time
from pathlib import Path

STEPS = 40


class Reports:
    def __init__(self, run_folder: Path) -> None:
        self.run, _, self.attempt = os.environ["THREADTUNE_ATTEMPT"].rpartition("/")
        self.folder = run_folder / "attempts" / self.attempt
        self.seq = 0

    def write(self, kind: str, **data: object) -> None:
        self.seq += 1
        head = {"v": 1, "run": self.run, "attempt": self.attempt, "seq": self.seq, "at": time.time(), "kind": kind}
        with (self.folder / "events.jsonl").open("a") as file:
            file.write(json.dumps({**head, **data}) + "\n")


def main() -> int:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    log = Reports(folder)
    log.write("started", steps=STEPS if kind == "train" else 0)
    return {"fetch": fetch, "train": train, "push": push}[kind](log, folder)


def fetch(log: Reports, folder: Path) -> int:
    log.write("finished")
    return 0


def train(log: Reports, folder: Path) -> int:
    for step in range(1, STEPS + 1):
        if (log.folder / "stop").exists():
            log.write("stopped", step=step, steps=STEPS)
            return 0
        log.write("step", step=step, steps=STEPS, loss=1.0 / step)
        time.sleep(0.03)
    (log.folder / "output").mkdir()
    (log.folder / "output" / "model.txt").write_text("weights")
    log.write("finished", metrics={"eval_loss": 0.5})
    return 0


def push(log: Reports, folder: Path) -> int:
    hub = Path(os.environ["COMMITS"])
    repo = json.loads((folder / "spec.json").read_text())["target"]["repo"] + f"-{log.run}"
    commits = [json.loads(line) for line in hub.read_text().splitlines()] if hub.exists() else []
    if not any(commit["run"] == log.run for commit in commits):
        with hub.open("a") as file:
            file.write(json.dumps({"repo": repo, "run": log.run}) + "\n")
    time.sleep(0.3)
    log.write("finished", repo=repo, revision="abc", url=f"http://hub/{repo}", files={"model.txt": "0"})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
