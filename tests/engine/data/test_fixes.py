"""Each fix removes what it is for, changes nothing else, and says what it did."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.checks import check
from engine.data.fixes import FIXES, apply
from engine.refusal import Refusal
from tests.engine.data.tables import DPO, read_jsonl, write_csv, write_jsonl

KEY = "hf_" + "a1B2c3D4e5" * 4
CASES: dict[str, tuple[str, bytes, bytes, str]] = {
    "rename_columns": (
        "misspelt_column",
        b'\xef\xbb\xbfprompt,"Text"\r\na,"b"\r\n',
        b'\xef\xbb\xbfprompt,text\r\na,"b"\r\n',
        "Line 1",
    ),
    "unescape": (
        "literal_newline",
        b'prompt,text\n"a",b \\n c\nd,"e"\n',
        b'prompt,text\n"a","b \n c"\nd,"e"\n',
        "Line 2",
    ),
    "mask_secrets": ("secret", f'text\n"my {KEY}"\na\n'.encode(), b"text\nmy [removed]\na\n", "Line 2"),
    "drop_empty_rows": ("empty_cell", b'prompt,text\n"a",b\nc,\n\nd,"e"\n', b'prompt,text\n"a",b\n\nd,"e"\n', "Line 3"),
    "drop_duplicates": ("duplicate_row", b'text\n"a"\na\nb\n', b'text\n"a"\nb\n', "Line 3"),
    "drop_equal_pairs": ("equal_pair", b"text,rejected_text\na,a\nb,c\n", b"text,rejected_text\nb,c\n", "Line 2"),
    "convert_encoding": ("encoding", "text\ncafé\na\n".encode("cp1252"), "text\ncafé\na\n".encode(), "Line 2"),
}
"""Fix → the code that it is for, a file before, the file after, where the change is said to be."""


@pytest.mark.parametrize("fix", CASES)
def test_a_fix_mends_what_the_check_found_and_nothing_else(fix: str, tmp_path: Path) -> None:
    code, before, after, said = CASES[fix]
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(before)
    assert fix in {issue.fix for issue in check(path).issues if issue.code == code}
    changes = apply(path, out, [fix])
    assert out.read_bytes() == after
    assert path.read_bytes() == before
    assert any(change.words().startswith(said) for change in changes)
    assert code not in check(out).counts


def test_every_fix_that_a_check_offers_can_be_applied() -> None:
    assert set(CASES) | {"to_csv", "to_jsonl"} == set(FIXES)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_a_file_in_another_encoding_becomes_utf8(encoding: str, tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes("text\nñandú\n".encode(encoding))
    apply(path, out, ["convert_encoding"])
    assert out.read_text(encoding="utf-8") == "text\nñandú\n"


def test_only_the_lines_in_another_encoding_are_converted(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes("text\ncafé\n".encode() + "thé\n".encode("latin-1"))
    changes = apply(path, out, ["convert_encoding"])
    assert [change.line for change in changes] == [3]
    assert out.read_text(encoding="utf-8") == "text\ncafé\nthé\n"


def test_without_conversion_no_byte_of_a_faulty_line_changes(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"prompt,Text\na,caf\xe9\nb,c,d\n")
    apply(path, out, ["rename_columns"])
    assert out.read_bytes() == b"prompt,text\na,caf\xe9\nb,c,d\n"


def test_a_header_in_another_encoding_keeps_its_other_bytes(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"caf\xe9,Text\na,b\n")
    apply(path, out, ["rename_columns"])
    assert out.read_bytes() == b"caf\xe9,text\na,b\n"


def test_blank_lines_above_the_header_stay(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"\n\nprompt,Text\na,b\n")
    apply(path, out, ["rename_columns"])
    assert out.read_bytes() == b"\n\nprompt,text\na,b\n"


def test_half_a_character_of_utf16_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text\na\n".encode("utf-16") + b"x")
    with pytest.raises(Refusal, match="breaks off at byte 17"):
        apply(path, tmp_path / "b.csv", ["convert_encoding"])


def test_json_rows_are_mended_too(tmp_path: Path) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(b'{"Text": "a \\\\n b"}\n{"Text": ""}\n{"Text":  "c"}\n')
    apply(path, out, ["rename_columns", "unescape", "drop_empty_rows"])
    assert read_jsonl(out) == [{"text": "a \n b"}, {"text": "c"}]


def test_unchanged_json_rows_keep_every_byte(tmp_path: Path) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(b'{"text":  "caf\\u00e9"}\n{"text":"a\\\\n"}\n')
    apply(path, out, ["unescape"])
    assert out.read_bytes() == b'{"text":  "caf\\u00e9"}\n{"text": "a\\n"}\n'


def test_csv_and_jsonl_become_each_other(tmp_path: Path) -> None:
    table = write_csv(tmp_path / "a.csv", DPO, ";")
    apply(table, tmp_path / "b.jsonl", ["to_jsonl"])
    assert read_jsonl(tmp_path / "b.jsonl") == list(DPO)
    apply(tmp_path / "b.jsonl", tmp_path / "c.csv", ["to_csv"])
    assert (tmp_path / "c.csv").read_bytes() == write_csv(tmp_path / "d.csv", DPO).read_bytes()


def test_parquet_becomes_csv(tmp_path: Path) -> None:
    pq.write_table(pa.table({name: [row[name] for row in DPO] for name in DPO[0]}), tmp_path / "a.parquet")
    apply(tmp_path / "a.parquet", tmp_path / "b.csv", ["to_csv"])
    assert (tmp_path / "b.csv").read_bytes() == write_csv(tmp_path / "c.csv", DPO).read_bytes()


def test_a_column_is_renamed_as_somebody_chose(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"q": "a", "a": "b"}])
    apply(path, tmp_path / "b.jsonl", ["rename_columns"], {"prompt": "q", "text": "a"})
    assert read_jsonl(tmp_path / "b.jsonl") == [{"prompt": "a", "text": "b"}]


def test_a_word_that_is_no_fix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="There is no fix `magic`"):
        apply(write_csv(tmp_path / "a.csv", DPO), tmp_path / "b.csv", ["magic"])
