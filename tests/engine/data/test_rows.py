"""Accepted rows are read from the disk as they are asked for."""

from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.preview.rows import Rows
from tests.engine.data.tables import write_jsonl


def test_rows_come_by_number_and_in_order(tmp_path: Path) -> None:
    given = [{"text": f"row {number}"} for number in range(4_500)]
    check(write_jsonl(tmp_path / "a.jsonl", given), arrow=tmp_path / "rows.arrow")
    rows = Rows(tmp_path / "rows.arrow")
    assert len(rows) == 4_500 and list(rows) == given
    assert [rows[number] for number in (0, 1_999, 2_000, 4_499)] == [given[n] for n in (0, 1_999, 2_000, 4_499)]
    assert rows[1_998:2_002] == given[1_998:2_002]
    with pytest.raises(IndexError):
        rows[4_500]


def test_no_rows_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n")
    check(tmp_path / "a.csv", arrow=tmp_path / "rows.arrow")
    assert len(Rows(tmp_path / "rows.arrow")) == 0
