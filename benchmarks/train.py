"""Our training beside `trl sft`'s defaults and the plain transformers Trainer: `python -m benchmarks.train`.

    python -m benchmarks.train [--rows 1500] [--repeats 1] [--peers FOLDER] [--json FILE]

The same weights, rows, cut, batch of 8 rows, learning rate, schedule and seed, in float32 and on one thread; a process
each, one after the other. Exit code 1: a target is missed. `--peers` adds AutoTrain and LLaMA-Factory, from the
environments of `benchmarks.train_peers`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import train_files, train_peers
from engine.events import read_events
from engine.jobs import Value
from tests.mini import Row, make_run

JOB = {
    "per_device_train_batch_size": 8,
    "num_train_epochs": 1,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "seed": 42,
    "optim": "adamw_torch_fused",
}
OURS: dict[str, Value] = {
    "batch_size": 8, "epochs": 1, "learning_rate": 1e-3, "scheduler": "linear", "warmup_ratio": 0.0,
    "weight_decay": 0.0, "max_grad_norm": 1.0, "seed": 42, "optimizer": "adamw_torch_fused", "lora": False,
    "max_length": 512,
}  # fmt: skip
PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
TARGETS = {
    "sft: wall, ours / trl sft": 0.6,
    "sft: wall, ours / autotrain": 0.6,
    "sft: held-out loss, ours / trl sft - 1": 0.01,
    "sft: greatest difference of a step's loss, ours and raw": 1e-3,
    "dpo: wall, ours / TRL": 1 / 1.3,
    "orpo: peak memory beyond a bare start, ours / TRL": 0.6,
}


@dataclass
class Figures:
    """One process: seconds in all, of a core, until its first step, and inside its loop; peak memory in MB; losses."""

    name: str
    wall_s: float = 0.0
    cpu_s: float = 0.0
    first_s: float = 0.0
    train_s: float = 0.0
    peak_mb: float = 0.0
    held_out: float = 0.0
    losses: list[float] = field(default_factory=list)


def run(name: str, command: Sequence[str], folder: Path) -> tuple[Figures, list[tuple[float, str]]]:
    """A process from its start to its end; each line that it printed with the seconds at which it did."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(folder / f"home-{name}"),
    }
    started = time.time()
    lines: list[tuple[float, str]] = []
    log = (folder / f"{name}.log").open("w")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as child:
        lines += [(time.time() - started, line.rstrip()) for line in child.stdout or ()]
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    log.close()
    if child.returncode:
        raise SystemExit(f"{name} ended with {child.returncode}:\n{(folder / f'{name}.log').read_text()[-2000:]}")
    cpu_s = usage.ru_utime + usage.ru_stime
    return Figures(name, time.time() - started, cpu_s, peak_mb=usage.ru_maxrss / 1024), lines


def ours(method: str, model: Path, rows: Sequence[Row], folder: Path, **more: Value) -> Figures:
    """The child of a queued run: it also keeps checkpoints, answers before and after, and loads what it saved."""
    run_folder = make_run(folder / f"ours-{method}-{time.time_ns()}", method, model, rows, (), **{**OURS, **more})
    started = time.time()
    found, _ = run(f"ours-{method}", [sys.executable, "-m", "engine", "train", str(run_folder.path)], folder)
    attempt = run_folder.attempts / "train-1"
    events = read_events(attempt / "events.jsonl")
    steps = [event for event in events if event.kind == "step"]
    found.first_s, found.losses = steps[0].at - started, [float(event.data["loss"]) for event in steps]
    found.train_s = float(events[-1].data["train_s"])
    found.name = f"ours {attempt / 'output'}"  # its dpo has computed the reference before this loop; the wall has all
    return found


def rival(mode: str, model: Path, rows: Path, folder: Path, **more: object) -> Figures:
    started = time.time()
    out = folder / f"out-{mode}"
    command = [sys.executable, "-m", "benchmarks.train_rivals", mode, str(model), str(rows), str(out)]
    found, lines = run(mode, [*command, json.dumps({**JOB, **more})], folder)
    said = json.loads(lines[-1][1])
    found.first_s, found.train_s, found.losses = said["first_at"] - started, said["train_s"], said["losses"]
    found.name = f"{mode} {out}"
    return found


def trl_sft(model: Path, rows: Path, folder: Path) -> Figures:
    """The command that people type, with its defaults."""
    out = folder / "out-trl"
    (folder / "trl-data").mkdir(exist_ok=True)
    (folder / "trl-data" / "train.jsonl").write_bytes(rows.read_bytes())
    words = {**JOB, "model_name_or_path": model, "dataset_name": folder / "trl-data", "output_dir": out}
    words |= {"max_length": 512, "report_to": "none", "logging_steps": 1, "disable_tqdm": True, "save_strategy": "no"}
    words |= {"use_cpu": True, "bf16": False}
    command = [str(Path(sys.executable).with_name("trl")), "sft"]
    for name, value in words.items():
        command += [f"--{name}", str(value)]
    found, lines = run("trl", command, folder)
    steps = [(at, line) for at, line in lines if "'loss'" in line]
    if not steps:
        raise SystemExit(f"trl sft printed no step: {lines[-5:]}")
    found.first_s = steps[0][0]
    found.train_s = next((train_runtime(line) for _, line in lines if "train_runtime" in line), 0.0)
    found.name = f"trl sft {out}"
    return found


def train_runtime(line: str) -> float:
    """`'train_runtime': '12.3'` of the dictionary that the Trainer prints at its end."""
    return float(line.partition("'train_runtime':")[2].strip(" '").split("'")[0].split(",")[0].rstrip("}"))


def bare(folder: Path) -> Figures:
    """What the libraries take before there is a model."""
    code = "import torch, datasets, transformers, trl.experimental.orpo, trl.trainer.utils"
    return run("bare", [sys.executable, "-c", code], folder)[0]


def held_out(found: Figures, rows: Path, folder: Path) -> Figures:
    """The loss of what was written, measured by the same code for everybody; its name loses the folder."""
    name, _, out = found.name.rpartition(" ")
    command = [sys.executable, "-m", "benchmarks.train_rivals", "loss", out, str(rows)]
    _, lines = run("loss", command, folder)
    found.name, found.held_out = name, float(json.loads(lines[-1][1])["eval_loss"])
    return found


def middle(repeats: int, make: Callable[[], Figures]) -> Figures:
    """The run whose wall time is in the middle."""
    return sorted((make() for _ in range(repeats)), key=lambda found: found.wall_s)[repeats // 2]


def sft(folder: Path, rows: int, repeats: int, peers: Path | None) -> list[Figures]:
    model = train_files.make_model(folder / "sft-model", 128, 4)
    train = train_files.text_rows(rows, 1)
    file = train_files.write_jsonl(folder / "rows.jsonl", train)
    held = train_files.write_jsonl(folder / "held-out.jsonl", train_files.text_rows(64, 2))
    found = [
        middle(repeats, lambda: ours("sft", model, train, folder)),
        middle(repeats, lambda: rival("raw", model, file, folder)),
        middle(repeats, lambda: trl_sft(model, file, folder)),
    ]
    if peers:
        # They fill rows of 512 tokens, so three of those are the tokens of eight rows as they are.
        found += train_peers.all_of(peers, model, file, folder, {**JOB, "per_device_train_batch_size": 3})
    return [held_out(each, held, folder) for each in found]


def preferences(folder: Path, method: str, rows: int, repeats: int) -> list[Figures]:
    """dpo on a small model, for its time; orpo on one with a vocabulary as real models have, for its memory."""
    vocab = 0 if method == "dpo" else 49_152
    model = train_files.make_model(folder / f"{method}-model", 128, 4 if method == "dpo" else 2, vocab)
    pairs = train_files.pair_rows(rows, 3)
    file = train_files.write_jsonl(folder / f"{method}.jsonl", pairs)
    job: dict[str, Any] = {} if method == "dpo" else {"max_steps": 4}
    mine: dict[str, Value] = {"beta": 0.1, **({} if method == "dpo" else {"max_steps": 4})}
    more = {"max_length": 512} if method == "orpo" else {}
    theirs = middle(repeats, lambda: rival(method, model, file, folder, **job, **more))
    us = middle(repeats, lambda: ours(method, model, pairs, folder, **mine))
    return [us, theirs]


def ratios(
    text: Sequence[Figures], dpo: Sequence[Figures], orpo: Sequence[Figures], floor_mb: float
) -> dict[str, float]:
    us, raw, trl = text[:3]
    apart = [abs(mine - theirs) for mine, theirs in zip(us.losses, raw.losses, strict=True)]
    mine, theirs = orpo[0].peak_mb - floor_mb, orpo[1].peak_mb - floor_mb
    return {
        "sft: wall, ours / trl sft": us.wall_s / trl.wall_s,
        "sft: held-out loss, ours / trl sft - 1": us.held_out / trl.held_out - 1,
        "sft: greatest difference of a step's loss, ours and raw": max(apart),
        "dpo: wall, ours / TRL": dpo[0].wall_s / dpo[1].wall_s,
        "orpo: peak memory beyond a bare start, ours / TRL": mine / theirs,
    } | {f"sft: wall, ours / {each.name}": us.wall_s / each.wall_s for each in text[3:]}


def table(title: str, figures: Sequence[Figures]) -> str:
    seconds = f"{'wall s':>7} {'cpu s':>7} {'first step s':>12} {'train s':>8}"
    names = f"{seconds} {'peak MB':>8} {'last loss':>9} {'held out':>9}"
    head = f"{title:24} {names}"
    lines = [
        f"{each.name.partition(' /')[0]:24} {each.wall_s:7.1f} {each.cpu_s:7.1f} {each.first_s:12.1f} "
        f"{each.train_s:8.1f} {each.peak_mb:8.0f} {shown(last(each))} {shown(each.held_out)}"
        for each in figures
    ]
    return "\n".join((head, *lines))


def last(figures: Figures) -> float:
    """The mean loss of the last ten steps; 0 where the process did not say it."""
    return statistics.fmean(figures.losses[-10:] or [0.0])


def shown(value: float) -> str:
    return f"{value:9.4f}" if value else f"{'–':>9}"


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "?")
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores of {cpu}, load {load:.1f}, one thread, {versions}"


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rows", type=int, default=1500, help="rows of the sft job")
    words.add_argument("--repeats", type=int, default=1, help="of each; the one in the middle counts")
    words.add_argument("--peers", type=Path, help="folder with the environments of AutoTrain and LLaMA-Factory")
    words.add_argument("--json", type=Path, help="also write all figures there")
    given = words.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = sft(folder, given.rows, given.repeats, given.peers)
        print(table(f"sft, {given.rows} rows", text), flush=True)
        dpo = preferences(folder, "dpo", max(16, given.rows // 5), given.repeats)
        print(table("dpo", dpo), flush=True)
        orpo = preferences(folder, "orpo", 64, given.repeats)
        floor = bare(folder)
        print(table("orpo, 49,152 tokens", [*orpo, floor]), flush=True)
    found = ratios(text, dpo, orpo, floor.peak_mb)
    missed = [name for name, most in TARGETS.items() if found.get(name, 0.0) > most]
    for name, ratio in found.items():
        target = f"(target: at most {TARGETS[name]:.3g})" if name in TARGETS else ""
        print(f"{name}: {ratio:.4g} {target}")
    print(f"Missed: {'; '.join(missed) or 'nothing'}.")
    if given.json:
        everything = {"ratios": found, "figures": [asdict(each) for each in (*text, *dpo, *orpo, floor)]}
        given.json.write_text(json.dumps({"machine": machine(), **everything}, indent=2))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
