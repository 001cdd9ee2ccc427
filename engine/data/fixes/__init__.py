"""Mending what is mechanical. `apply` writes a new file, byte for byte the old one except where a fix changes it,
and says each change; the original stays."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.data.findings import Findings
from engine.data.fixes.changes import Change, Changes, Shorten, Written
from engine.data.fixes.encodings import add_header, convert, wrap_lists
from engine.data.fixes.mending import Mending, Place
from engine.data.fixes.repeated import repeated
from engine.data.fixes.writing import keep, rewrite
from engine.data.reading import read
from engine.data.reading.archives import open_bytes
from engine.data.reading.files import raw_lines
from engine.data.shown import shown
from engine.refusal import Refusal

__all__ = ["FIXES", "Change", "Changes", "Written", "apply"]

REPEATS = frozenset({"drop_duplicates", "drop_near_duplicates"})

FIXES: Mapping[str, str] = {
    "convert_encoding": "write the file as UTF-8",
    "add_header": "put a header above the first row",
    "wrap_lists": "put each list of messages under `messages`",
    "rename_columns": "rename misspelt columns",
    "unescape": "turn backslash-n into line breaks",
    "unescape_html": "turn HTML entities into characters",
    "repair_mojibake": "repair letters that were misread as cp1252",
    "drop_hidden": "take out invisible characters",
    "mask_secrets": "replace secrets by a mask",
    "mask_personal_data": "replace personal data by a mask",
    "drop_empty_rows": "drop rows with an empty cell",
    "drop_duplicates": "drop rows that repeat an earlier one",
    "drop_near_duplicates": "drop rows that repeat an earlier one but for case and spaces",
    "drop_equal_pairs": "drop rows whose two answers are the same",
    "cut_over_long": "cut rows that are too long where a sentence or a turn ends",
    "to_csv": "write comma-separated CSV",
    "to_jsonl": "write JSONL",
}
"""Every fix by name, in the words of a button."""


def apply(
    path: Path,
    out: Path,
    fixes: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    filled: Mapping[Place, Written] | None = None,
    shorten: Shorten | None = None,
    changes: Changes | None = None,
) -> Changes:
    """Write `path` to `out` with the fixes, in flat memory. `mapping` (role → column) renames those columns to their
    roles; `filled` is what is to stand in single cells; `shorten` is how cut_over_long cuts a row; every change goes
    to `changes`.

    Raises Refusal for a fix that is none, and CannotRead where there are no rows to mend.
    """
    if unknown := [fix for fix in fixes if fix not in FIXES]:
        raise Refusal(f"There is no fix {shown(unknown[0])}. There are {', '.join(FIXES)}.", "fixes")
    changes = Changes() if changes is None else changes
    shorten = shorten if "cut_over_long" in fixes else None
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        source = _readable(path, Path(folder), fixes, changes)
        given = (fixes, mapping or {})
        asked = None
        if REPEATS & set(fixes):
            reading = read(source, path.name, Findings().add)
            asked = repeated(reading, Mending(reading, *given, Changes(), filled or {})).asked()
        reading = read(source, path.name, Findings().add)
        mending = Mending(reading, *given, changes, filled or {}, shorten, asked)
        if {"to_csv", "to_jsonl"} & set(fixes) or reading.shape.format in ("json", "parquet"):
            with out.open("w", encoding="utf-8", newline="") as target:
                rewrite(reading, mending, target, as_csv="to_csv" in fixes)
        else:
            with open_bytes(source) as lines, out.open("wb") as copy:
                keep(raw_lines(lines, reading.shape.ends_with_cr), reading, mending, copy)
    return changes


def _readable(path: Path, folder: Path, fixes: Sequence[str], changes: Changes) -> Path:
    """The file with what has to be mended before its rows can be read; what was written on the way lies in `folder`."""
    source = path
    for fix, change in (("convert_encoding", convert), ("wrap_lists", wrap_lists), ("add_header", _headed)):
        if fix in fixes:
            target = folder / f"{fix}-{path.name}"
            change(source, target, changes)
            source = target
    return source


def _headed(path: Path, out: Path, changes: Changes) -> None:
    bare = read(path, path.name, Findings().add)
    add_header(path, out, bare.shape, len(bare.columns), changes)
