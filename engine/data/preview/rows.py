"""The accepted rows of a check as a sequence that is read from the disk when it is asked, so that memory stays flat."""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from engine.data.types import Row


class Rows(Sequence[Row]):
    """The rows of an Arrow stream that a check wrote. The file has to stay while they are read."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        with pa.ipc.open_stream(pa.memory_map(str(path))) as stream:
            self._batches: list[Any] = list(stream)
        self._ends = list(itertools.accumulate(batch.num_rows for batch in self._batches))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Row]:
        for batch in self._batches:
            yield from batch.to_pylist()

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Row]: ...
    def __getitem__(self, place: int | slice) -> Row | Sequence[Row]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        number = bisect.bisect_right(self._ends, place)
        batch = self._batches[number]
        row: Row = batch.slice(place - self._ends[number] + batch.num_rows, 1).to_pylist()[0]
        return row
