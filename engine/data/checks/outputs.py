"""Accepted rows on their way out while they are checked: Arrow for the training, JSONL for people."""

import itertools
import json
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

BATCH = 2_000
LARGEST = 1 << 25
"""Characters after which a batch is written though it has few rows: offsets of an Arrow string array are 32 bits."""


class Output(Protocol):
    def write(self, cells: Mapping[str, object]) -> None: ...
    def close(self) -> None: ...


def as_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


class JsonlOutput:
    """Each row as one JSON object, values exactly as they are."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, cells: Mapping[str, object]) -> None:
        self._file.write(as_json(cells) + "\n")

    def close(self) -> None:
        self._file.close()


class ArrowOutput:
    """An Arrow stream that `datasets.Dataset.from_file` reads. All columns are strings; a column that holds
    conversations is JSON text, and says so in its field's metadata (`kind` = `json`)."""

    def __init__(self, path: Path, columns: Sequence[str], lists: frozenset[str]) -> None:
        import pyarrow as pa

        self._pa: Any = pa
        self._columns = columns
        fields = [pa.field(name, pa.string(), metadata={"kind": "json"} if name in lists else None) for name in columns]
        self._schema = pa.schema(fields)
        self._writer = pa.ipc.new_stream(str(path), self._schema)
        self._batch: dict[str, list[str | None]] = {name: [] for name in columns}
        self._rows = 0
        self._size = 0

    def write(self, cells: Mapping[str, object]) -> None:
        for name, values in self._batch.items():
            value = cells.get(name)
            text = value if value is None or isinstance(value, str) else as_json(value)
            values.append(text)
            self._size += len(text or "")
        self._rows += 1
        if self._rows == BATCH or self._size > LARGEST:
            self._flush()

    def _flush(self) -> None:
        arrays = [self._strings(values) for values in self._batch.values()]
        self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))
        for values in self._batch.values():
            values.clear()
        self._rows = self._size = 0

    def _strings(self, values: Sequence[str | None]) -> Any:
        """A string array from its buffers: `pyarrow.array` would import pandas where that is installed."""
        pa = self._pa
        parts = [b"" if value is None else value.encode() for value in values]
        offsets = array("i", itertools.accumulate(map(len, parts), initial=0))
        nulls = sum(value is None for value in values)
        bits = sum(1 << place for place, value in enumerate(values) if value is not None) if nulls else 0
        valid = pa.py_buffer(bits.to_bytes(len(values) // 8 + 1, "little")) if nulls else None
        return pa.StringArray.from_buffers(
            len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(parts)), valid, nulls
        )

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
