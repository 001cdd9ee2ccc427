"""Accepted rows on their way out while they are checked: Arrow for the training, JSONL for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

BATCH = 2_000


class Output(Protocol):
    def write(self, cells: Mapping[str, object]) -> None: ...
    def close(self) -> None: ...


class JsonlOutput:
    """Each row as one JSON object, values exactly as they are."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, cells: Mapping[str, object]) -> None:
        self._file.write(json.dumps(cells, ensure_ascii=False) + "\n")

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

    def write(self, cells: Mapping[str, object]) -> None:
        for name, values in self._batch.items():
            value = cells.get(name)
            is_text = value is None or type(value) is str
            values.append(value if is_text else json.dumps(value, ensure_ascii=False))  # type: ignore[arg-type]
        self._rows += 1
        if self._rows == BATCH:
            self._flush()

    def _flush(self) -> None:
        arrays = [self._pa.array(values, self._pa.string()) for values in self._batch.values()]
        self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))
        for values in self._batch.values():
            values.clear()
        self._rows = 0

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()
