"""Each fix removes what it is for, changes nothing else, and says what it did."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.checks import check
from engine.data.fixes import FIXES, Changes, apply, encodings
from engine.data.fixes.changes import MOST_KEPT
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
    "mask_personal_data": (
        "personal_data",
        b'prompt,text\n"a","ask a.b@mail.org, c@d.org or +49 30 1234567"\nc,"d"\n',
        b'prompt,text\n"a","ask [removed], [removed] or [removed]"\nc,"d"\n',
        "Line 2",
    ),
    "drop_hidden": (
        "zero_width",
        'text\n"a\u200bb\u202e\x07"\nc\u200dd\n'.encode(),
        "text\nab\nc\u200dd\n".encode(),
        "Line 2",
    ),
    "unescape_html": (
        "html_entity",
        b'text\n&lt;b&gt; &amp; &copy\n"a"\n',
        b'text\n<b> & &copy\n"a"\n',
        "Line 2",
    ),
    "repair_mojibake": (
        "mojibake",
        'text\n"un cafÃ© naÃ¯f, Âme"\n"â"\n'.encode(),
        'text\n"un café naïf, Âme"\n"â"\n'.encode(),
        "Line 2",
    ),
    "add_header": (
        "missing_header",
        b"\xef\xbb\xbfWhere is it? Tell me now,Here\r\nWhen?,Now\r\n",
        b"\xef\xbb\xbfprompt,text\nWhere is it? Tell me now,Here\r\nWhen?,Now\r\n",
        "Line 1",
    ),
    "wrap_lists": (
        "not_an_object",
        b'[{"role":"user","content":"a"}, {"role":"assistant","content":"b"}]\r\n[{"from":"gpt","value":"c"}]\n',
        b'{"messages": [{"role":"user","content":"a"}, {"role":"assistant","content":"b"}]}\r\n'
        b'{"messages": [{"from":"gpt","value":"c"}]}\n',
        "Line 1",
    ),
    "drop_near_duplicates": ("near_duplicate", b'text\n"a b"\nA  b\nb\n', b'text\n"a b"\nb\n', "Line 3"),
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
    elsewhere = {"to_csv", "to_jsonl", "cut_over_long"}
    assert set(CASES) | elsewhere == set(FIXES)


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


def test_texts_in_lists_of_messages_are_mended_too(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": f"my {KEY}"}, {"role": "assistant", "content": "a &amp; b \\n c"}]
    path = write_jsonl(tmp_path / "a.jsonl", [{"messages": turns}])
    changes = apply(path, tmp_path / "b.jsonl", ["mask_secrets", "unescape_html", "unescape"])
    assert len(changes) == 3
    mended = [{"role": "user", "content": "my [removed]"}, {"role": "assistant", "content": "a & b \n c"}]
    assert read_jsonl(tmp_path / "b.jsonl") == [{"messages": mended}]


def test_a_table_with_more_columns_than_are_usual_gets_no_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2,3,4\n5,6,7,8\n")
    with pytest.raises(Refusal, match="no usual header for 4 columns"):
        apply(path, tmp_path / "b.csv", ["add_header"])


TEXT = "text\r\n" + "".join(f"{number}: ñandú \U0001f99c \u0800\n" for number in range(40))


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_conversion_reads_no_more_than_a_block_at_once(
    encoding: str, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "BLOCK", block)
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(TEXT.encode(encoding))
    apply(path, out, ["convert_encoding"])
    assert out.read_bytes() == TEXT.encode()
    path.write_bytes(TEXT.encode(encoding)[:-1])
    with pytest.raises(Refusal, match="breaks off at byte"):
        apply(path, out, ["convert_encoding"])


def test_no_character_is_lost_where_the_longest_lines_come_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encodings, "LONGEST_LINE", 8)
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    line = "text," + "ñ" * 50 + "\U0001f99c" * 50
    pieces = [line.encode()[start : start + 8] for start in range(0, len(line.encode()), 8)]
    assert b"".join(encodings.whole_characters(iter(pieces))) == line.encode()
    assert all(piece.decode() for piece in encodings.whole_characters(iter(pieces)))
    path.write_text(f"{line}\na,b\n", encoding="utf-8")
    apply(path, out, ["convert_encoding"])
    assert out.read_bytes() == path.read_bytes()


def test_every_change_is_written_as_it_happens_though_only_the_first_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"text\n" + b"a \\n b\n" * (MOST_KEPT + 20))
    with (tmp_path / "changes.txt").open("w") as listing:
        changes = apply(path, tmp_path / "b.csv", ["unescape"], changes=Changes(listing))
    lines = (tmp_path / "changes.txt").read_text().splitlines()
    assert len(changes) == len(lines) == MOST_KEPT + 20 and len(list(changes)) == MOST_KEPT
    assert lines[-1].startswith(f"Line {MOST_KEPT + 21}: ")


def test_repeats_are_found_after_the_other_fixes_and_in_the_files_order(tmp_path: Path) -> None:
    path, out = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_bytes(b"id,text\n1,a &amp; b\n2,A  & b\n3,a & b\n4,\n5,A  & b\n6,\n")
    changes = apply(path, out, ["unescape_html", "drop_empty_rows", "drop_duplicates", "drop_near_duplicates"])
    assert out.read_bytes() == b"id,text\n1,a & b\n"
    said = [change.words() for change in changes]
    assert "Line 4: row 3 was dropped: it repeats row 1." in said
    assert "Line 3: row 2 was dropped: it repeats row 1 but for case and spaces." in said
    assert apply(path, out, ["drop_near_duplicates"]) and out.read_bytes().count(b"\n") == 6, "only case and spaces"


def test_a_repeat_in_another_order_of_keys_is_dropped(tmp_path: Path) -> None:
    path, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(b'{"prompt":"a","text":"b"}\n{"text":"b","prompt":"a"}\n')
    assert len(apply(path, out, ["drop_duplicates"])) == 1 and len(read_jsonl(out)) == 1
