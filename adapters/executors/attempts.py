"""An attempt's folder as every executor reads it, wherever the attempt runs."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from engine.events import Event, whole_events

Record = dict[str, Any]


class Reports:
    """What attempts reported; a file is read on from where the last look ended."""

    def __init__(self) -> None:
        self._read: dict[Path, tuple[int, int]] = {}

    def after(self, folder: Path, seq: int) -> list[Event]:
        """The events of an attempt beyond a sequence number, as far as they are written."""
        last, offset = self._read.get(folder, (0, 0))
        events, offset = read_from(folder / "events.jsonl", offset if seq >= last else 0)
        if events:
            self._read[folder] = (events[-1].seq, offset)
        return [event for event in events if event.seq > seq]


def read_from(path: Path, offset: int) -> tuple[list[Event], int]:
    """The events from a byte on, and the byte behind the last whole line; what a full disk cut is passed over."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read()
    except FileNotFoundError:
        return [], offset
    whole, _, _ = text.rpartition(b"\n")
    return list(whole_events(whole.split(b"\n"))), offset + (len(whole) + 1 if whole else 0)


def read_json(path: Path) -> Record | None:
    try:
        return cast(Record, json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None


def write_json(path: Path, values: dict[str, object]) -> None:
    half = path.with_name(path.name + ".half")
    half.write_text(json.dumps(values))
    half.replace(path)


def leave_wish(folder: Path, wish: str) -> None:
    """The wish that an attempt ends, `save` or `drop`, where its runner reads it."""
    half = folder / "stop.half"
    half.write_text(wish)
    half.replace(folder / "stop")


def wanted_gpus(run_folder: Path) -> int:
    """How many devices the run's spec asks for."""
    spec = read_json(run_folder / "spec.json") or {}
    return int((spec.get("parameters") or {}).get("gpus", 1))


def copy_all(folder: Path, names: Sequence[str], target: Path) -> None:
    """Raises ValueError for a name that leads out of the attempt, FileNotFoundError for one that is not there."""
    target.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = (folder / name).resolve()
        if not source.is_relative_to(folder.resolve()):
            raise ValueError(f"{name} is not inside the attempt")
        if source.is_dir():
            shutil.copytree(source, target / name, dirs_exist_ok=True)
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
