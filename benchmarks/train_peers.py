"""AutoTrain and LLaMA-Factory on the same job, each in an environment of its own: `make bench-peers`.

    python -m benchmarks.train_peers FOLDER    make the environments (about 5 GB, minutes)

Neither installs beside current libraries, and both bring parts that do not fit a CPU build of torch; what is removed or
put in their place is only what neither needs for text.
"""

import json
import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.train import Figures

TORCH = os.environ.get("PEERS_TORCH", "torch==2.13.0")
AUTOTRAIN = "autotrain-advanced==0.8.36"
FACTORY = "llamafactory==0.9.5"
STUB = "def __getattr__(name):\n    raise AttributeError(name)\n"


def make(peers: Path) -> None:
    """Install both; what is there already is kept."""
    for name, package, unwanted in (
        ("autotrain", AUTOTRAIN, ("torchvision", "timm")),
        ("factory", FACTORY, ("torchvision", "torchaudio")),
    ):
        home = peers / name
        if (home / "done").exists():
            continue
        venv.create(home, with_pip=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", TORCH, package], check=True)
        subprocess.run([*pip, "uninstall", "-y", *unwanted], check=True)
        if name == "factory":
            site = next((home / "lib").glob("python*/site-packages"))
            (site / "torchaudio.py").write_text(STUB)
        (home / "done").touch()


def all_of(peers: Path, model: Path, rows: Path, folder: Path, job: dict[str, Any]) -> "list[Figures]":
    """The figures of each peer whose environment is there; the others are named."""
    found = []
    for name, run in (("autotrain", autotrain), ("factory", factory)):
        if not (peers / name / "done").exists():
            print(f"{name}: not measured, there is no {peers / name}")
            continue
        found.append(run(peers / name, model, rows, folder, job))
    return found


def autotrain(home: Path, model: Path, rows: Path, folder: Path, job: dict[str, Any]) -> "Figures":
    """Its command with its own defaults but for what the job fixes; fp32, since it has no choice of its own there."""
    from benchmarks.train import run

    data = folder / "autotrain-data"
    data.mkdir()
    (data / "train.jsonl").write_bytes(rows.read_bytes())
    words = {
        "model": model,
        "data-path": data,
        "text-column": "text",
        "trainer": "sft",
        "project-name": "autotrain-out",
        "lr": job["learning_rate"],
        "epochs": job["num_train_epochs"],
        "batch-size": job["per_device_train_batch_size"],
        "gradient-accumulation": 1,
        "block-size": 512,
        "warmup-ratio": 0,
        "seed": job["seed"],
        "scheduler": "linear",
        "logging-steps": 1,
    }
    command = [str(home / "bin" / "autotrain"), "llm", "--train"]
    for name, value in words.items():
        command += [f"--{name}", str(value)]
    return timed(run, "autotrain", command, folder, home, folder / "autotrain-out")


def factory(home: Path, model: Path, rows: Path, folder: Path, job: dict[str, Any]) -> "Figures":
    """Its plain-text stage with packing, which is its default there."""
    from benchmarks.train import run

    data, out = folder / "factory-data", folder / "factory-out"
    data.mkdir()
    (data / "rows.jsonl").write_bytes(rows.read_bytes())
    (data / "dataset_info.json").write_text('{"rows": {"file_name": "rows.jsonl", "columns": {"prompt": "text"}}}')
    words = {
        "stage": "pt",
        "do_train": True,
        "finetuning_type": "full",
        "model_name_or_path": model,
        "dataset": "rows",
        "dataset_dir": data,
        "cutoff_len": 512,
        "output_dir": out,
        "report_to": "none",
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        **job,
    }
    file = folder / "factory.yaml"
    file.write_text(json.dumps(words, default=str))  # which is YAML too
    return timed(run, "factory", [str(home / "bin" / "llamafactory-cli"), "train", str(file)], folder, home, out)


def timed(run: Any, name: str, command: list[str], folder: Path, home: Path, out: Path) -> "Figures":
    """With its own programs first on the path: it starts others by name."""
    before = dict(os.environ)
    os.environ.update(PATH=f"{home / 'bin'}:{before['PATH']}", DISABLE_VERSION_CHECK="1")
    started, here = time.time(), Path.cwd()
    os.chdir(folder)
    try:
        found, lines = run(name, command, folder)
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    steps = [at for at, line in lines if "'loss'" in line]
    found.first_s = steps[0] if steps else time.time() - started
    found.train_s = (steps[-1] - steps[0]) if steps else 0.0
    found.name = f"{name} {out}"
    return found  # type: ignore[no-any-return]


if __name__ == "__main__":
    make(Path(sys.argv[1]))
