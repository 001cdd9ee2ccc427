"""A file is read for what it is: its delimiter, format, compression and encoding are told from its content."""

import gzip
import io
import json
import struct
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.checks import check
from engine.data.reading.files import HEAD, LONGEST_LINE
from tests.engine.data.tables import DPO, found, read_jsonl, write_csv, write_jsonl


@pytest.mark.parametrize("delimiter", list(",;\t|"))
def test_the_delimiter_is_told_from_the_content(delimiter: str, tmp_path: Path) -> None:
    report = check(write_csv(tmp_path / "a.csv", DPO, delimiter))
    assert report.delimiter == delimiter and report.methods["dpo"].usable


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a"])
def test_the_content_decides_and_not_the_name(name: str, tmp_path: Path) -> None:
    assert check(write_csv(tmp_path / name, DPO)).format == "csv"
    assert check(write_jsonl(tmp_path / name, DPO)).format == "jsonl"


def test_a_json_array_is_read_row_by_row_with_its_lines(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.json", b'[\n{"text":"a"},\n{"text":7},\n{"text":"b"}\n]\n')
    assert [(issue.code, issue.line) for issue in issues if issue.severity == "error"] == [("wrong_type", 3)]


def test_parquet_is_read_with_row_numbers(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    pq.write_table(pa.table({"text": ["007", "", None], "id": [1, 2, 3]}), tmp_path / "a.parquet")
    report = check(tmp_path / "a.parquet")
    errors = [(issue.code, issue.line, issue.row) for issue in report.issues if issue.severity == "error"]
    assert errors == [("empty_cell", None, 2), ("wrong_type", None, 3)] and report.format == "parquet"
    pq.write_table(pa.table({"messages": [turns, turns[:1] + turns[1:]]}), tmp_path / "b.parquet")
    assert check(tmp_path / "b.parquet", rows=tmp_path / "b.jsonl").methods["sft"].usable
    assert read_jsonl(tmp_path / "b.jsonl")[0] == {"messages": turns}


def test_a_damaged_parquet_is_said_to_be_one(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a" * 100] * 1_000}), tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    for content in (whole[:-20], whole[:4] + b"x" * 50 + whole[54:], b"PAR1"):
        issues = found(tmp_path, "b.parquet", content)
        assert [issue.code for issue in issues] == ["unreadable"] and "damaged" in issues[0].message


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named_with_a_snippet(encoding: str, tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", "text\nhello\n".encode(encoding))
    assert [issue.fix for issue in issues] == ["convert_encoding"]
    assert "UTF-" in issues[0].message and "`text`" in issues[0].message


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: zipped_bytes(data)])
def test_one_compressed_file_is_read(pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(pack(b"text\na\nb\n"))
    assert check(path).methods["sft"].rows_used == 2


def zipped_bytes(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    return file.getvalue()


def test_a_damaged_archive_is_said_to_be_one(tmp_path: Path) -> None:
    whole = gzip.compress(b"text\na\n")
    damaged = whole[:-8] + struct.pack("<II", 1, 2)
    assert [issue.code for issue in found(tmp_path, "a.csv.gz", damaged)] == ["bad_archive"]
    assert [issue.code for issue in found(tmp_path, "b.csv.gz", whole[:-9])] == ["bad_archive"]


def test_rows_with_bad_bytes_are_not_used_and_their_neighbours_are(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\né\nà\n".encode() + b'x\xe9\n"y\nz\xe9\nw"\nb\0\nu\xcc\x81\nv\n')
    report = check(path, rows=tmp_path / "rows.jsonl")
    assert [row["text"] for row in read_jsonl(tmp_path / "rows.jsonl")] == ["é", "à", "u\u0301", "v"]
    assert [i.line for i in report.issues if i.severity == "error"] == [4, 6, 8]


def test_a_json_array_may_be_one_line_of_any_length(tmp_path: Path) -> None:
    rows = [{"text": f"{number} " + "é€😀" * 3_000} for number in range(700)]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    assert path.stat().st_size > LONGEST_LINE and path.read_bytes().count(b"\n") == 0
    report = check(path, rows=tmp_path / "rows.jsonl")
    assert report.methods["sft"].usable and read_jsonl(tmp_path / "rows.jsonl") == rows


@pytest.mark.parametrize("length", range(HEAD - 6, HEAD + 2))
def test_a_character_across_two_pieces_stays_whole(length: int, tmp_path: Path) -> None:
    rows = [{"text": "a" * (length - 10) + "😀é"}, {"text": "b"}]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    check(path, rows=tmp_path / "rows.jsonl")
    assert read_jsonl(tmp_path / "rows.jsonl") == rows


def test_bad_bytes_in_a_long_line_of_json_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('[\n{"text": "é'.encode() + b"a" * HEAD + b'\xe9"},\n{"text": "b\xc3"}]')
    issues = [issue for issue in check(path).issues if issue.severity == "error"]
    assert "(2 lines)" in issues[0].message
    assert [(issue.code, issue.line) for issue in issues] == [("encoding", 2)]


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_a_compressed_parquet_file_is_read_as_one(kind: str, tmp_path: Path) -> None:
    bare, path = tmp_path / "a.parquet", tmp_path / f"a.parquet.{kind}"
    pq.write_table(pa.table({"text": ["NA", "007"]}), bare)
    if kind == "gz":
        path.write_bytes(gzip.compress(bare.read_bytes()))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(bare, "a.parquet")
    report = check(path, rows=tmp_path / "rows.jsonl")
    assert (report.format, report.rows, report.methods["sft"].usable) == ("parquet", 2, True)
    assert [row["text"] for row in read_jsonl(tmp_path / "rows.jsonl")] == ["NA", "007"]
