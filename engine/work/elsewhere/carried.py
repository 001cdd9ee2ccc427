"""An attempt on a node that reaches the run's folder only as a location (S3, a mounted bucket): the node's side.

`python -m engine.work.elsewhere.carried URL ATTEMPT GRACE_S -- argv …`: fetch the run's folder, run the runner in a
copy of it, and carry what it writes to the location as it comes: the events, the heartbeat and whole checkpoints at
once, the output and then `exit.json` at the end. ATTEMPT is `<run>/attempts/<kind>-<n>`; argv gets kind and folder.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec

from engine.work.identity import FOLDER_VARIABLE

LOOK_S = 1.0
FIRST = ("runner.json", "events.jsonl", "heartbeat.json", "log.txt")
LAST = "exit.json"
COMPLETE = "COMPLETE.json"


def parts_to_send(run: Path, attempt: Path) -> Iterator[Path]:
    """The files that an attempt needs of its run: all but what other attempts made, besides what they reported."""
    for path in sorted(run.rglob("*")):
        inside = path.relative_to(run).parts
        is_others = inside[0] == "attempts" and not path.is_relative_to(attempt)
        if path.is_file() and (not is_others or path.name in ("events.jsonl", LAST)):
            yield path


def copy_out(fs: Any, source: str, target: Path) -> None:
    """A folder of the location with everything in it; nothing where it is not there."""
    for found in fs.find(source) if fs.exists(source) else ():
        inside = str(found)[len(fs._strip_protocol(source)) :].lstrip("/")
        path = (target / inside).resolve()
        if path.is_relative_to(target.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            fs.get_file(found, str(path))


class Carrier:
    """Between the location's `<base>/<attempt>` and `scratch/<attempt>`."""

    def __init__(self, fs: Any, base: str, attempt: str, scratch: Path) -> None:
        self.fs = fs
        self.base = base
        self.attempt = attempt
        self.run = attempt.partition("/")[0]
        self.scratch = scratch
        self._sent: dict[str, tuple[int, int]] = {}

    @property
    def folder(self) -> Path:
        return self.scratch / self.attempt

    def fetch(self) -> None:
        copy_out(self.fs, f"{self.base}/{self.run}", self.scratch / self.run)
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in (self.scratch / self.run).rglob("*"):
            self._sent[path.relative_to(self.scratch).as_posix()] = stamp(path)

    def is_done(self) -> bool:
        return bool(self.fs.exists(f"{self.base}/{self.attempt}/{LAST}"))

    def look(self) -> None:
        """The wish to end inwards; the reports and whole checkpoints outwards."""
        if self.fs.exists(f"{self.base}/{self.attempt}/stop") and not (self.folder / "stop").exists():
            self.fs.get_file(f"{self.base}/{self.attempt}/stop", str(self.folder / "stop.half"))
            (self.folder / "stop.half").replace(self.folder / "stop")
        for name in FIRST:
            self.send(self.folder / name)
        for mark in sorted((self.scratch / self.run / "checkpoints").glob(f"*/{COMPLETE}")):
            others = [path for path in sorted(mark.parent.rglob("*")) if path.is_file() and path != mark]
            for path in (*others, mark):
                self.send(path)

    def finish(self) -> None:
        """Everything that it made, and last that it ended."""
        self.look()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name not in (LAST, "stop", "runner.lock"):
                self.send(path)
        self.send(self.folder / LAST)

    def send(self, path: Path) -> None:
        name = path.relative_to(self.scratch).as_posix()
        if not path.exists() or self._sent.get(name) == stamp(path):
            return
        seen = stamp(path)
        target = f"{self.base}/{name}"
        self.fs.makedirs(target.rpartition("/")[0], exist_ok=True)
        self.fs.put_file(str(path), target)
        self._sent[name] = seen


def stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def run(url: str, attempt: str, grace_s: str, argv: list[str]) -> int:
    fs, base = fsspec.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
    with tempfile.TemporaryDirectory(prefix="threadtune-") as scratch:
        carrier = Carrier(fs, str(base).rstrip("/"), attempt, Path(scratch))
        if carrier.is_done():
            return 0
        carrier.fetch()
        kind = attempt.rpartition("/")[2].rpartition("-")[0]
        child = [*argv, kind, str(carrier.folder.parents[1])]
        runner = [sys.executable, "-P", "-m", "engine.work.runner", str(carrier.folder), grace_s, "--", *child]
        variables = {**os.environ, FOLDER_VARIABLE: str(carrier.folder)}
        with subprocess.Popen(runner, env=variables, stdin=subprocess.DEVNULL) as process:
            while process.poll() is None:
                with contextlib.suppress(OSError):  # the location may be away for a while
                    carrier.look()
                time.sleep(LOOK_S)
        carrier.finish()
    return 0


def main(words: list[str]) -> int:
    at = words.index("--")
    url, attempt, grace_s = words[:at]
    return run(url, attempt, grace_s, words[at + 1 :])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
