"""The check beside pandas and `datasets` on the same large files: time, memory, and the planted faults each names.

    python -m benchmarks.check [--mb 200] [--only ours|verdict]

Each reader runs in a process of its own, one after the other: first on a good file, for the time, then on the same
rows with faults planted in known lines. Every message of pandas or datasets counts as a fault found, whatever line it
names; of ours only an issue with the right code at the right line counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.check_files import FAULTS, TEXT, write
from tests.mini import make_causal

MB = 1_000_000
VERDICT_MB, VERDICTS = 10, 5
OURS = {
    "structure + Arrow": "structure",
    "complete": "complete",
    "fixes": "fixes",
    "UTF-16 to UTF-8": "convert",
}
ON_GOOD = ("structure", "convert")
"""Readers that say nothing of faults."""
OTHERS = {"pandas": "pandas", "datasets": "load_dataset"}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--mb", type=int, default=200, help="size of each file")
    words.add_argument("--only", default="", help="ours: leave pandas and datasets out")
    given = words.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start, Python {sys.version.split()[0]}")
    names = f"{'file':6} {'reader':18} {'seconds':>8} {'MB/s':>6} {'MB/cpu s':>8} {'peak MB':>8}"
    print(f"{names}  faults named of {len(FAULTS)} planted")
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("csv", "jsonl"):
            if given.only == "verdict":
                break
            compare(Path(folder), suffix, given.mb, {**OURS, **({} if given.only == "ours" else OTHERS)})
        print(f"what a bot does from a file's arrival to its verdict, {VERDICT_MB} MB:")
        for suffix in ("csv", "jsonl"):
            verdict(Path(folder), suffix)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def verdict(folder: Path, suffix: str) -> None:
    """The two children that a bot starts, one after the other; the base model is a tiny one that lies here."""
    home, model = folder / f"upload-{suffix}", folder / "mini"
    home.mkdir()
    write(home / f"file.{suffix}", VERDICT_MB * MB, {})
    (home / f"file.{suffix}").rename(home / "file")
    if not model.exists():
        make_causal(model, [TEXT])
    check = ("check", home / "file", "--name", f"file.{suffix}", "--arrow", home / "rows.arrow", "--json")
    preview = ("preview", home, "--method", "dpo", "--model", model, "--quick", "--json")
    best: list[Used] = []
    for _ in range(VERDICTS):
        checked, report = child([sys.executable, "-m", "engine", *map(str, check)])
        (home / "report.json").write_text(report)
        shown, _ = child([sys.executable, "-m", "engine", *map(str, preview)])
        best.append(
            Used(
                checked.seconds + shown.seconds,
                checked.cpu_seconds + shown.cpu_seconds,
                max(checked.peak_mb, shown.peak_mb),
            )
        )
    best.sort(key=lambda used: used.seconds)
    used = best[len(best) // 2]
    took = f"{used.seconds:4.1f} s, {used.cpu_seconds:4.1f} s of a core, peak {used.peak_mb:.0f} MB"
    print(f"{suffix:6} check, then preview {took}", flush=True)


def compare(folder: Path, suffix: str, mb: int, readers: dict[str, str]) -> None:
    good, faulty = folder / f"good.{suffix}", folder / f"faulty.{suffix}"
    write(good, mb * MB, {})
    lines = write(faulty, mb * MB, FAULTS)
    for name, mode in readers.items():
        used, answer = measured(mode, good, {})
        size = good.stat().st_size / MB
        found = "-" if mode in ON_GOOD else measured(mode, faulty, lines)[1]
        words = answer if answer.startswith(("not installed", "no answer", "NOT EQUAL")) else found
        rates = f"{size / used.seconds:6.0f} {size / used.cpu_seconds:8.0f}"
        print(f"{suffix:6} {name:18} {used.seconds:8.1f} {rates} {used.peak_mb:8.0f}  {words}", flush=True)
    good.unlink()
    faulty.unlink()


@dataclass(frozen=True)
class Used:
    seconds: float
    cpu_seconds: float
    peak_mb: float


def measured(mode: str, path: Path, lines: dict[str, int]) -> tuple[Used, str]:
    """What it took, imports included, and the last line of `benchmarks.check_readers` in a process of its own."""
    used, answer = child([sys.executable, "-m", "benchmarks.check_readers", mode, str(path), json.dumps(lines)])
    return used, answer.rpartition("\n")[2] or "no answer"


def child(command: list[str]) -> tuple[Used, str]:
    """What a process took, and what it printed."""
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        answer = (process.stdout.read() if process.stdout else b"").decode().strip()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    used = Used(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
    return used, answer


if __name__ == "__main__":
    main()
