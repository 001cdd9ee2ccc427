"""Rows that were tokenised are kept, for a retry, a resume, or the next run on the same file.

Named by all that the tokens depend on: the rows, the tokenizer and its template, the method, max_length, and the code
that tokenises. They lie beside the runs' folders: never pushed, and removed at any time without harm.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.data import encoding
from engine.work.training.task import Task

FOLDER = ".tokens"
MOST = 20
"""Files that are kept; the ones that were used longest ago go first."""
NAMES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json", "tokenizer.model")
Item = TypeVar("Item")


def kept(task: Task, rows: Path, make: Callable[[], Sequence[Item]]) -> list[Item]:
    """What `make` gives for the rows of that file: from the last time, or made and kept."""
    path = task.folder.path.resolve().parent / FOLDER / f"{task.spec.train.sha256}-{key(task, rows)}.msgpack"
    try:
        found: list[Item] = msgspec.msgpack.decode(path.read_bytes())
        path.touch()
        return found
    except (OSError, msgspec.DecodeError):  # not there yet, or cut by a full disk
        made = list(make())
        keep(path, msgspec.msgpack.encode(made))
        return made


def forget(runs: Path, sha256: str) -> None:
    """Remove what was made of an upload, by its hash; `runs` is the folder of all runs."""
    for path in (runs / FOLDER).glob(f"{sha256}-*"):
        path.unlink(missing_ok=True)


def key(task: Task, rows: Path) -> str:
    names = [rows, Path(encoding.__file__), *(task.folder.model / name for name in NAMES)]
    parts = [digest(path) if path.exists() else "" for path in names]
    settings = [task.spec.method, str(task.settings["max_length"]), str(task.settings.get("template", ""))]
    return hashlib.sha256("\n".join([*parts, *settings]).encode()).hexdigest()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(path: Path, content: bytes) -> None:
    """Whole or not at all; a disk that is full costs the time only."""
    half = path.with_suffix(".half")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        half.replace(path)
        for old in sorted(path.parent.glob("*.msgpack"), key=lambda file: file.stat().st_mtime)[:-MOST]:
            old.unlink(missing_ok=True)
    except OSError:
        half.unlink(missing_ok=True)
