"""Rows → file → reader gives the same rows; a good file that is changed is never read as something else in silence."""

import csv
import io
import json
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.data.checks import check
from engine.data.fixes.writing import raw_cells
from tests.engine.data.tables import DPO, read_jsonl

LETTERS = st.characters(exclude_characters="\0", codec="utf-8")
CELLS = st.text(LETTERS, min_size=1, max_size=30).filter(lambda text: not text.isspace())
ROWS = st.lists(st.fixed_dictionaries({"prompt": CELLS, "text": CELLS}), min_size=1, max_size=8)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_csv(rows: list[dict[str, str]], end: str = "\n") -> bytes:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def read(folder: Path, content: bytes, name: str) -> tuple[bool, list[dict[str, object]]]:
    """Whether the file is accepted, and its rows."""
    path, out = folder / name, folder / "rows.jsonl"
    path.write_bytes(content)
    out.unlink(missing_ok=True)
    report = check(path, rows=out)
    return any(fit.usable for fit in report.methods.values()), read_jsonl(out) if out.exists() else []


@QUICK
@given(rows=ROWS, end=st.sampled_from(["\n", "\r\n"]))
def test_csv_rows_come_back_as_they_were(tmp_path: Path, rows: list[dict[str, str]], end: str) -> None:
    assert read(tmp_path, as_csv(rows, end), "a.csv") == (True, rows)


@QUICK
@given(rows=ROWS, is_ascii=st.booleans())
def test_jsonl_rows_come_back_as_they_were(tmp_path: Path, rows: list[dict[str, str]], is_ascii: bool) -> None:
    text = "".join(json.dumps(row, ensure_ascii=is_ascii) + "\n" for row in rows)
    assert read(tmp_path, text.encode(), "a.jsonl") == (True, rows)


@QUICK
@given(rows=ROWS)
def test_an_array_of_rows_comes_back_as_it_was(tmp_path: Path, rows: list[dict[str, str]]) -> None:
    assert read(tmp_path, json.dumps(rows, indent=1).encode(), "a.json") == (True, rows)


GOOD = as_csv([dict(row) for row in DPO])
GOOD_JSONL = "".join(json.dumps(row) + "\n" for row in DPO).encode()


def strict_csv(content: bytes) -> list[dict[str, object]]:
    """What the standard library reads, by the same strict rules."""
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    return [dict(row) for row in reader]


@QUICK
@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255))
def test_a_changed_csv_is_read_strictly_or_refused(tmp_path: Path, at: int, byte: int) -> None:
    content = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    is_accepted, rows = read(tmp_path, content, "a.csv")
    if is_accepted:
        assert rows == strict_csv(content)


@QUICK
@given(at=st.integers(0, len(GOOD_JSONL) - 1), byte=st.integers(0, 255))
def test_a_changed_jsonl_is_read_strictly_or_refused(tmp_path: Path, at: int, byte: int) -> None:
    content = GOOD_JSONL[:at] + bytes([byte]) + GOOD_JSONL[at + 1 :]
    is_accepted, rows = read(tmp_path, content, "a.jsonl")
    if is_accepted:
        assert rows == [json.loads(line) for line in content.decode().split("\n") if line.strip()]


@QUICK
@given(cells=st.lists(st.text(LETTERS, max_size=12), min_size=1, max_size=5), delimiter=st.sampled_from(",;\t|"))
def test_the_cells_of_a_record_are_told_apart_as_written(cells: list[str], delimiter: str) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator="").writerow(cells)
    raw = file.getvalue()
    pieces = raw_cells(raw, delimiter)
    assert delimiter.join(pieces) == raw and len(pieces) == len(cells)
