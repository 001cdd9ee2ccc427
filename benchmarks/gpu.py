"""What is to be seen on a GPU, in one command: `make bench-gpu`. Exit code 2, and nothing written, where there is none.

It plays drop → start → push in the console for sft and dpo, runs out of memory on purpose, cancels a training, times a
model of a billion new weights with a lora, ours beside TRL's defaults. All of it goes into one transcript.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks import train_files
from engine.events import read_events
from engine.folder import RunFolder
from engine.jobs import Value
from tests.mini import make_run

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")
DEMO_S, RUN_S = 3600, 1800
LARGE = {"hidden": 2048, "layers": 16, "vocab": 32_000}
HUGE = {"batch_size": 512, "max_length": 1024, "gradient_checkpointing": False, "lora": False}
TIMED: dict[str, Value] = {"batch_size": 8, "max_length": 1024, "lora": True, "max_steps": 60}


def card() -> str:
    """Name, memory and driver, as nvidia-smi says; empty without one that torch can use."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
    usable = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    return said if subprocess.run([sys.executable, "-c", usable], check=False).returncode == 0 else ""


class Transcript:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")

    def add(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        with self.path.open("a") as file:
            file.write(text + "\n")


def demo(transcript: Transcript, method: str) -> bool:
    """The conversation of `make demo`, whole."""
    transcript.add(f"\n## drop, start, push: {method}\n")
    command = [sys.executable, "-m", "bot", "demo", method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEMO_S, check=False)
    transcript.add(done.stdout + done.stderr[-2000:])
    transcript.add(f"exit code {done.returncode}")
    return done.returncode == 0


def play(transcript: Transcript, title: str, run: RunFolder, is_cancelled: bool = False) -> str:
    """Train in a child, print what it reports, and return the kind of its last event."""
    transcript.add(f"\n## {title}\n")
    command = [sys.executable, "-m", "engine", "train", str(run.path)]
    attempt = run.attempts / f"train-{run.last_number('train') + 1}"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with (run.path / "log.txt").open("w") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        until = time.monotonic() + RUN_S
        while child.poll() is None and time.monotonic() < until:
            has_step = any(event.kind == "step" for event in read_events(attempt / "events.jsonl"))
            if is_cancelled and has_step and not (attempt / "stop").exists():
                (attempt / "stop").write_text("save")
            time.sleep(0.2)
        child.kill()
        child.wait()
    chosen = [line for line in (run.path / "log.txt").read_text().splitlines() if line.endswith(")") and ": " in line]
    transcript.add("\n".join(chosen))
    events = read_events(attempt / "events.jsonl")
    for event in events:
        if event.kind != "step" or event.data["step"] % 10 == 0:
            transcript.add(json.dumps({"kind": event.kind, **event.data}))
    return events[-1].kind if events else "nothing"


def trl_defaults(transcript: Transcript, model: Path, rows: Path, folder: Path) -> None:
    """The same lora and rows by the command that people type."""
    transcript.add("\n## the same by `trl sft` with its defaults\n")
    words = {"model_name_or_path": model, "dataset_name": rows.parent, "output_dir": folder / "trl", "max_steps": 60}
    words |= {"use_peft": True, "lora_r": 16, "lora_alpha": 32, "lora_target_modules": "all-linear"}
    words |= {"max_length": 1024, "logging_steps": 10, "save_strategy": "no", "report_to": "none"}
    words |= {"include_num_input_tokens_seen": "non_padding"}
    command = [str(Path(sys.executable).with_name("trl")), "sft"]
    for name, value in words.items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    transcript.add("\n".join(line for line in done.stdout.splitlines() if "loss" in line or "runtime" in line))


def play_all(transcript: Transcript, folder: Path) -> list[str]:
    """What did not end as it should."""
    missed = [f"demo {method}" for method in ("sft", "dpo") if not demo(transcript, method)]
    model = train_files.make_model(folder / "large", **LARGE)
    rows = train_files.text_rows(2_000, 1)
    (folder / "data").mkdir()
    file = train_files.write_jsonl(folder / "data" / "rows.jsonl", rows)
    if play(transcript, "out of memory", make_run(folder / "oom", "sft", model, rows, (), **HUGE)) != "failed":
        missed.append("out of memory")
    run = make_run(folder / "cancel", "sft", model, rows, (), **{**TIMED, "max_steps": 5_000})
    if play(transcript, "cancel with saving", run, is_cancelled=True) != "stopped":
        missed.append("cancel")
    for name, packing in (("rows of like lengths", False), ("packed", True)):
        timed = make_run(folder / f"timed-{packing}", "sft", model, rows, (), **{**TIMED, "packing": packing})
        if play(transcript, f"a billion weights with a lora, {name}", timed) != "finished":
            missed.append(name)
    trl_defaults(transcript, model, file, folder)
    return missed


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--out", type=Path, default=Path("data/gpu-transcript.md"))
    given = words.parse_args()
    found = card()
    if not found:
        sys.stderr.write("There is no GPU here that torch can use, so nothing was seen and nothing is written.\n")
        return 2
    transcript = Transcript(given.out)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    transcript.add(f"# Seen on a GPU, {datetime.now(UTC):%Y-%m-%d}\n\n{found}\n{versions}")
    folder = Path(tempfile.mkdtemp())
    try:
        missed = play_all(transcript, folder)
    finally:
        shutil.rmtree(folder)
    transcript.add(f"\nNot as it should be: {', '.join(missed) or 'nothing'}.")
    sys.stdout.write(f"The transcript is {given.out}.\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
