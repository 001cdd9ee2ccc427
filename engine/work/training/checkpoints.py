"""Checkpoints that are known to be whole: a list of files with their sizes and hashes, written last."""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

MANIFEST = "COMPLETE.json"


def mark_complete(checkpoint: Path) -> None:
    """Write the manifest once everything else is on the disk; a crash before leaves none."""
    unfinished = checkpoint / f"{MANIFEST}.part"
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(described(checkpoint), file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(checkpoint / MANIFEST)


def described(checkpoint: Path) -> dict[str, list[int | str]]:
    """Name → size in bytes and sha256 of every file but the manifest."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and not path.name.startswith(MANIFEST))
    return {str(path.relative_to(checkpoint)): [path.stat().st_size, sha256_of(path)] for path in files}


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_whole(checkpoint: Path) -> bool:
    """Whether every file is as it was when the manifest was written: a cut or changed one is not."""
    try:
        said = dict(json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8")))
        return bool(said) and described(checkpoint) == said
    except (OSError, ValueError, TypeError):
        return False


def by_step(checkpoints: Path) -> list[tuple[int, Path]]:
    """Every checkpoint, whole or not, the highest step first."""
    found = ((re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in checkpoints.glob("checkpoint-*"))
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def last_good(checkpoints: Path) -> Path | None:
    """The whole checkpoint with the highest step; damaged ones are passed over."""
    return next((path for _, path in by_step(checkpoints) if is_whole(path)), None)


def drop_damaged(checkpoints: Path) -> list[int]:
    """Remove every checkpoint above the last good one, and return their steps: what saves anew must not find them."""
    good = last_good(checkpoints)
    above = [(step, path) for step, path in by_step(checkpoints) if good is None or step > step_of(good)]
    for _, path in above:
        shutil.rmtree(path)
    return [step for step, _ in above]


def step_of(checkpoint: Path | None) -> int:
    """0 for none: the beginning."""
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
