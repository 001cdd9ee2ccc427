"""Checkpoints that are known to be whole: a list of files and sizes, written last."""

import json
import os
import re
from pathlib import Path

MANIFEST = "COMPLETE.json"


def mark_complete(checkpoint: Path) -> None:
    """Write the manifest once everything else is on the disk; a crash before leaves none."""
    sizes = {
        str(path.relative_to(checkpoint)): path.stat().st_size
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    unfinished = checkpoint / f"{MANIFEST}.part"
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump(sizes, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(checkpoint / MANIFEST)


def is_whole(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return all(
        (checkpoint / name).is_file() and (checkpoint / name).stat().st_size == size for name, size in sizes.items()
    )


def last_good(checkpoints: Path) -> Path | None:
    """The whole checkpoint with the highest step; damaged ones are passed over."""
    found = ((re.fullmatch(r"checkpoint-(\d+)", path.name), path) for path in checkpoints.glob("checkpoint-*"))
    by_step = sorted(((int(match[1]), path) for match, path in found if match), reverse=True)
    return next((path for _, path in by_step if is_whole(path)), None)
