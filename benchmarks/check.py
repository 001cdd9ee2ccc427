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

MB = 1_000_000
VERDICT_MB, VERDICTS = 10, 5
LEAST_RATE = {"structure": 50, "complete": 15}
MOST_MB, VERDICT_S = 250, 2.0
"""The targets: megabytes for each second of a core, memory, and seconds of a core; the wall depends on the load."""
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
    missed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("csv", "jsonl"):
            if given.only == "verdict":
                break
            missed += compare(Path(folder), suffix, given.mb, {**OURS, **({} if given.only == "ours" else OTHERS)})
        print(f"what a bot does from a file's arrival to its verdict, {VERDICT_MB} MB:")
        for suffix in ("csv", "jsonl"):
            missed += verdict(Path(folder), suffix)
    print(f"load {os.getloadavg()[0]:.1f} at the end")
    print("\n".join(missed) or "every target is met")
    raise SystemExit(1 if missed else 0)


def verdict(folder: Path, suffix: str) -> list[str]:
    """The two children that a bot starts, one after the other, with a tiny base model; the targets that they miss."""
    from tests.mini import make_causal  # here: what this process holds counts as its children's memory

    home, model = folder / f"upload-{suffix}", folder / "mini"
    home.mkdir()
    write(home / f"file.{suffix}", VERDICT_MB * MB, {})
    (home / f"file.{suffix}").rename(home / "file")
    if not model.exists():
        make_causal(model, [TEXT])
    check = ("check", home / "file", "--name", f"file.{suffix}", "--arrow", home / "rows.arrow", "--json")
    preview = ("preview", home, "--method", "dpo", "--model", model, "--quick", "--json")
    taken = []
    for _ in range(VERDICTS):
        checked, report = child([sys.executable, "-m", "engine", *map(str, check)])
        (home / "report.json").write_text(report)
        shown, answer = child([sys.executable, "-m", "engine", *map(str, preview)])
        if "samples" not in json.loads(answer):
            raise SystemExit(f"no preview: {answer}")
        taken.append((checked.seconds + shown.seconds, checked.cpu_seconds + shown.cpu_seconds))
    seconds, cpu_seconds = sorted(taken)[VERDICTS // 2]
    print(f"{suffix:6} check, then preview {seconds:4.1f} s, {cpu_seconds:4.1f} s of a core", flush=True)
    is_late = cpu_seconds > VERDICT_S
    return [f"{suffix}: the verdict took {cpu_seconds:.1f} s of a core, not {VERDICT_S:g}"] if is_late else []


def compare(folder: Path, suffix: str, mb: int, readers: dict[str, str]) -> list[str]:
    """A line for each reader; the targets that ours miss."""
    good, faulty = folder / f"good.{suffix}", folder / f"faulty.{suffix}"
    write(good, mb * MB, {})
    lines = write(faulty, mb * MB, FAULTS)
    missed = []
    for name, mode in readers.items():
        used, answer = measured(mode, good, {})
        size = good.stat().st_size / MB
        found = "-" if mode in ON_GOOD else measured(mode, faulty, lines)[1]
        words = answer if answer.startswith(("not installed", "no answer", "NOT EQUAL")) else found
        rate = size / used.cpu_seconds
        rates = f"{size / used.seconds:6.0f} {rate:8.0f}"
        print(f"{suffix:6} {name:18} {used.seconds:8.1f} {rates} {used.peak_mb:8.0f}  {words}", flush=True)
        if mode in OURS.values():
            missed += [f"{suffix}: {name} takes {used.peak_mb:.0f} MB, not {MOST_MB}"] * (used.peak_mb > MOST_MB)
            missed += [f"{suffix}: {name} at {rate:.0f} MB/s of a core"] * (rate < LEAST_RATE.get(mode, 0))
            missed += [f"{suffix}: {name} names {words}"] * (mode == "complete" and words != str(len(lines)))
    good.unlink()
    faulty.unlink()
    return missed


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
