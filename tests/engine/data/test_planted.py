"""Of the faults that the measurement plants in a large file, the check names every one at its line."""

from pathlib import Path

import pytest

from benchmarks.check_files import FAULTS, write
from benchmarks.check_readers import complete

ENOUGH = 20_000_000


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_every_planted_fault_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"faulty.{suffix}"
    lines = write(path, ENOUGH, FAULTS)
    assert len(lines) == len(FAULTS)
    assert complete(path, lines) == str(len(FAULTS))
