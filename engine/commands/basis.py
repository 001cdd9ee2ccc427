"""What a plan rests on: the base model, the slot it would train in, and what has to be there beside it."""

import math
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from engine.executor import Slot
from engine.jobs import Value
from engine.plan.bases.allowed import check_allowed, patterns
from engine.plan.bases.choosing import usual
from engine.plan.gates import check_disk, fits
from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, Look, is_folder
from engine.refusal import Refusal

ALLOWED = "ALLOWED_MODELS"
TRAIN_PYTHON = "TRAIN_PYTHON"
"""The interpreter that trains, where it trains on this machine; without it, what is installed there is not known."""
LOOK_S = 20.0


def look_for(model: str, method: str) -> Look:
    """The base model, the usual one where none is named; of the right kind for the method. Raises Refusal."""
    return look_and_why(model, method, slot_here())[0]


def look_and_why(model: str, method: str, slot: Slot) -> tuple[Look, str]:
    """The same, and why it is this one where none is named: what fits the slot, or what comes with threadtune where
    that cannot be had."""
    if model:
        return look_at(model, method), ""
    name, reason = usual(method, slot, patterns(os.environ.get(ALLOWED, "")))
    ours = DEFAULT_MASKED if method == "mlm" else DEFAULT_CAUSAL
    if name == ours:
        return look_at(ours, method), reason
    try:
        return look_at(name, method), reason
    except Refusal as refusal:
        why = refusal.text.rstrip(".")
        return look_at(ours, method), f"{reason} It cannot be had just now ({why}), so it is {ours}."


def look_at(model: str, method: str) -> Look:
    from engine.hub import client
    from engine.hub.download.fetch import default_cache
    from engine.hub.download.look import look

    if not is_folder(model):
        check_allowed(model, patterns(os.environ.get(ALLOWED, "")))
    found = look(model, token=client.reader(), cache=default_cache())
    if method:
        fits(found, method)
    return found


def with_time(reason: str, slot: Slot, seconds: float) -> str:
    """The reason for a base model; without a GPU also how long its training takes, since that decides what to do."""
    if not reason or slot.gpus:
        return reason
    time = f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{math.ceil(seconds / 60)} min"
    return f"{reason} No GPU here: about {time}."


def check_room(look: Look, given: Mapping[str, Value]) -> None:
    """Refuse a run for which the disk of the cache, or that of the runs' folders, has no room."""
    from engine.hub.download.fetch import default_cache

    cache, runs = (there(path) for path in (default_cache(), Path(os.environ.get("DATA") or "data") / "runs"))
    is_one = cache.stat().st_dev == runs.stat().st_dev
    check_disk(look, given, shutil.disk_usage(cache).free, None if is_one else shutil.disk_usage(runs).free)


def there(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.expanduser().absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def check_packages(given: Mapping[str, Value]) -> None:
    """Refuse a base in fewer bits where the interpreter that trains has no bitsandbytes: hours later is too late."""
    python, bits = os.environ.get(TRAIN_PYTHON, ""), str(given.get("quantization", "none"))
    if bits == "none" or not python or has_package(python, "bitsandbytes"):
        return
    raise Refusal(
        f"quantization={bits} needs the package bitsandbytes, which is not installed where this trains: leave it out, "
        "or have whoever runs this bot install it there.",
        "quantization",
    )


def has_package(python: str, name: str) -> bool:
    """Whether the interpreter finds the package, without importing it; also where the interpreter cannot be asked."""
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    try:
        done = subprocess.run(
            [python, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=LOOK_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return True
    return done.returncode != 1


def slot_named(words: str) -> Slot:
    """`1x24` is a GPU of 24 GB, `0x16` a processor with 16 GB. Raises Refusal."""
    gpus, _, memory_gb = words.lower().partition("x")
    try:
        count, size = int(gpus), float(memory_gb)
    except ValueError:
        raise Refusal(f"{words} is no slot: write GPUs × GB each, as in 1x24, or 0x16 for a CPU.", "slot") from None
    return Slot("gpu" if count else "cpu", count, size)


def slot_here() -> Slot:
    """What this machine would train on: its first GPU, or its processor and memory."""
    memory_gb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    program = shutil.which("nvidia-smi")
    if program is None:
        return Slot("cpu", 0, memory_gb)
    words = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        out = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout
        return Slot("gpu", 1, float(out.splitlines()[0]) * 2**20 / 1e9)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return Slot("cpu", 0, memory_gb)
