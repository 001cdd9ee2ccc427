"""The rows of a run's folder: the source's accepted rows, turned into the trainer's and parted for measuring."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.data.held_out import group_of, held_out
from engine.data.trainer_rows.rows import has_template_for, trainer_row
from engine.data.types import Row
from engine.folder import RunFolder
from engine.jobs import JobSpec, Source
from engine.refusal import Refusal

BATCH = 1_000


def write_trainer_rows(folder: RunFolder, spec: JobSpec, has_template: bool) -> dict[str, int]:
    """Write `data/train.arrow`, and `data/valid.arrow` where rows are held out, from the source's accepted rows.

    Each row has its number in the file as `row`. Returns how many rows went where. Raises Refusal where a row cannot
    be read as the spec wants it.
    """
    template = has_template_for(spec.method, spec.parameters, has_template)
    spec = with_marks(spec)
    train = _numbered(folder.source("train"))
    if spec.valid is not None and folder.source("valid").exists():
        valid = _numbered(folder.source("valid"))
        written = _write(folder.rows("train"), train, spec.method, spec.train, template)
        return {"train": written, "valid": _write(folder.rows("valid"), valid, spec.method, spec.valid, template)}
    held = held_out(_keys(folder.source("train"), spec), spec.parameters)
    kept = (item for item in train if item[0] not in held)
    counts = {"train": _write(folder.rows("train"), kept, spec.method, spec.train, template), "valid": 0}
    folder.rows("valid").unlink(missing_ok=True)
    if held:
        rows = (item for item in _numbered(folder.source("train")) if item[0] in held)
        counts["valid"] = _write(folder.rows("valid"), rows, spec.method, spec.train, template)
    return counts


def with_marks(spec: JobSpec) -> JobSpec:
    """The parameter `marks` as a word about the sources."""
    are_text = spec.parameters.get("marks") == "text"
    valid = replace(spec.valid, marks_are_text=are_text) if spec.valid is not None else None
    return replace(spec, train=replace(spec.train, marks_are_text=are_text), valid=valid)


def read_source(path: Path) -> Iterator[Row]:
    """The accepted rows as they stand in the file; conversations are JSON text until `trainer_row` reads them."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        for batch in stream:
            yield from batch.to_pylist()


def _numbered(path: Path) -> Iterator[tuple[int, Row]]:
    return enumerate(read_source(path), 1)


def _keys(path: Path, spec: JobSpec) -> list[int]:
    """For each row a number that is the same for rows with the same prompt."""
    way = spec.train.mapping or {}
    return [group_of(row, way) for row in read_source(path)]


def _write(path: Path, rows: Iterable[tuple[int, Row]], method: str, source: Source, has_template: bool) -> int:
    import pyarrow as pa

    numbered = _trainer_rows(rows, method, source, has_template)
    first = next(numbered, None)
    if first is None:
        raise Refusal("There are no rows to train on.", "file")
    schema = _schema(first)
    written = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as stream:
        batch = [first]
        for row in numbered:
            batch.append(row)
            if len(batch) >= BATCH:
                written += _flush(stream, batch, schema)
        written += _flush(stream, batch, schema)
    return written


def _flush(stream: Any, batch: list[dict[str, Any]], schema: Any) -> int:
    import pyarrow as pa

    if batch:
        stream.write_table(pa.Table.from_pylist(batch, schema))
    number = len(batch)
    batch.clear()
    return number


def _trainer_rows(
    rows: Iterable[tuple[int, Row]], method: str, source: Source, has_template: bool
) -> Iterator[dict[str, Any]]:
    for number, row in rows:
        try:
            yield {**trainer_row(row, method, source, has_template), "row": number}
        except Refusal as refusal:
            raise Refusal(f"Row {number} {refusal.text}", refusal.field) from None


def _schema(row: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    kinds = {str: pa.string(), list: messages, int: pa.int64(), bool: pa.bool_()}
    return pa.schema([(name, kinds[type(value)]) for name, value in row.items()])
