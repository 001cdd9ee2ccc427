"""Mending what is mechanical. `apply` writes a new file, byte for byte the old one except where a fix changes it,
and says each change; the original stays."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.data.findings import Findings
from engine.data.fixes.encodings import add_header, convert, wrap_lists
from engine.data.fixes.mending import Change, Mending, Place
from engine.data.fixes.writing import keep, rewrite
from engine.data.reading import read
from engine.data.reading.archives import open_bytes
from engine.data.reading.files import raw_lines
from engine.data.shown import shown
from engine.refusal import Refusal

__all__ = ["FIXES", "Change", "apply"]

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
    "cut_over_long": "cut rows that are too long where a sentence ends",
    "to_csv": "write comma-separated CSV",
    "to_jsonl": "write JSONL",
}
"""Every fix by name, in the words of a button."""


def apply(
    path: Path,
    out: Path,
    fixes: Sequence[str],
    mapping: Mapping[str, str] | None = None,
    filled: Mapping[Place, str] | None = None,
) -> list[Change]:
    """Write `path` to `out` with the fixes. `mapping` (role → column) renames those columns to their roles; `filled`
    is what a person wrote for single cells.

    Raises Refusal for a fix that is none, and CannotRead where there are no rows to mend.
    """
    if unknown := [fix for fix in fixes if fix not in FIXES]:
        raise Refusal(f"There is no fix {shown(unknown[0])}. There are {', '.join(FIXES)}.", "fixes")
    changes: list[Change] = []
    with tempfile.TemporaryDirectory() as folder:
        source = path
        if "convert_encoding" in fixes:
            source = Path(folder) / path.name
            changes += convert(path, source)
        if "wrap_lists" in fixes:
            wrapped = Path(folder) / f"wrapped-{path.name}"
            changes += wrap_lists(source, wrapped)
            source = wrapped
        if "add_header" in fixes:
            bare = read(source, path.name, Findings().add)
            headed = Path(folder) / f"headed-{path.name}"
            changes += add_header(source, headed, bare.shape, len(bare.columns))
            source = headed
        reading = read(source, path.name, Findings().add)
        mending = Mending(reading, fixes, mapping or {}, changes, filled or {})
        if {"to_csv", "to_jsonl"} & set(fixes) or reading.shape.format in ("json", "parquet"):
            with out.open("w", encoding="utf-8", newline="") as target:
                rewrite(reading, mending, target, as_csv="to_csv" in fixes)
        else:
            with open_bytes(source) as lines, out.open("wb") as copy:
                keep(raw_lines(lines, reading.shape.ends_with_cr), reading, mending, copy)
    return changes
