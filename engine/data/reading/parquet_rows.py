"""Rows of a Parquet file, batch by batch. They have numbers but no lines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.data.findings import Add
from engine.data.reading.archives import CannotRead
from engine.data.reading.csv_rows import MOST_COLUMNS, Record

MAGIC = b"PAR1"
BATCH = 1_000


class ParquetReading:
    """After construction `columns` are the file's; iterate once for the rows. Raises CannotRead for a damaged file."""

    blank_lines = 0

    def __init__(self, path: Path, add: Add) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._error: type[Exception] = pa.ArrowException
        try:
            self._file: Any = pq.ParquetFile(path)
        except (self._error, OSError) as error:
            raise self._damaged() from error
        self.row = 0
        self.columns = tuple(self._file.schema_arrow.names)
        if len(self.columns) > MOST_COLUMNS:
            words = f"The file has {len(self.columns):,} columns; at most {MOST_COLUMNS} are read. Take some out."
            add("too_many_columns", words)
            self.columns = self.columns[:MOST_COLUMNS]

    def _damaged(self) -> CannotRead:
        return CannotRead("unreadable", "The Parquet file is damaged or cut off. Upload it again.")

    def __iter__(self) -> Iterator[Record]:
        try:
            for batch in self._file.iter_batches(BATCH, columns=list(self.columns)):
                for cells in batch.to_pylist():
                    self.row += 1
                    yield Record(self.row, None, None, cells)
        except (self._error, OSError) as error:
            raise self._damaged() from error
