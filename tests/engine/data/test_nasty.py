"""Uploads that went wrong as people's do: each fault is named at its physical line, and nothing is accused wrongly."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.data.checks import check
from engine.data.fixes import apply

AMOUNTS = {"few_rows", "few_tokens", "label_balance", "blank_line", "unused_column", "inner_quote"}
Faults = list[tuple[str, int | None]]


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def chat(*turns: tuple[str, str]) -> dict[str, object]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def zipped(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


GOOD = chat(("user", "hi"), ("assistant", "yo"))
BARE = b'[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]\n'
TWO_CONVERSATIONS = jsonl(
    {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    {"conversations": [{"from": "human", "text": "a"}, {"from": "gpt", "value": "b"}]},
)
ANSWERS = {"chosen": [{"role": "assistant", "content": "b"}], "rejected": [{"role": "user", "content": "c"}]}
TOKENS = (
    "ghp_" + "a1B2" * 9, "xoxb-123456789012-abcdefghijkl", "sk-proj-" + "aB3d" * 8, "AKIAIOSFODNN7EXAMPLE",
    "glpat-" + "aB3d" * 6, "sk_live_" + "aB3d" * 8, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "aB3d" * 8,
)  # fmt: skip

CASES: dict[str, tuple[str, bytes, Faults]] = {
    "each line one field too wide": (
        "a.csv", b"prompt,text\na,b,c\nd,e,f\n", [("too_wide", 2), ("too_wide", 3)],
    ),
    "each line one field too wide with one column": (
        "a.csv", b"text\nhello, you\nhow, are\n", [("too_wide", 2), ("too_wide", 3)],
    ),
    "semicolons under a header with commas": (
        "a.csv", b"prompt,text\na;b\nc;d\n", [("too_narrow", 2), ("too_narrow", 3)],
    ),
    "many faults after cells with line breaks": (
        "a.csv",
        b'prompt,text\n"a\nb",\nc\nd,e,f\n,g\n"h,i\nj,k\n',
        [("empty_cell", 2), ("too_narrow", 4), ("too_wide", 5), ("empty_cell", 6), ("unclosed_quote", 7)],
    ),
    "two quotes that are never closed": (
        "a.csv", b'prompt,text\na,"b\nc,d\ne,f\ng,"h\ni,j\n', [("unclosed_quote", 2), ("unclosed_quote", 5)],
    ),
    "a quote that the next quoted cell seems to close": (
        "a.csv", b'prompt,text\na,"oops\nb,c\nd,"fine"\ne,f\n', [("unclosed_quote", 2)],
    ),
    "an unclosed quote in the header": ("a.csv", b'"prompt,text\na,b\nc,d\n', [("unclosed_quote", 1)]),
    "an unclosed quote in a TSV": ("a.tsv", b'prompt\ttext\na\t"b\nc\td\n', [("unclosed_quote", 2)]),
    "line ends of an old Mac": ("a.csv", b"prompt,text\ra,b\rc,\r", [("empty_cell", 3)]),
    "characters that only look like line ends": (
        "a.csv", 'prompt,text\n"a\u2028b\x85c",d\ne,\n'.encode(), [("control_character", 2), ("empty_cell", 3)],
    ),
    "two marks of byte order": ("a.csv", b"\xef\xbb\xbf\xef\xbb\xbftext\na\n", []),
    "words that other readers take for nothing": ("a.csv", b"text\nNA\nnull\nNaN\n007\n2020-01-01\n", []),
    "names in another case": (
        "a.csv", b"Question,Answer\na,b\n", [("misspelt_column", 1), ("misspelt_column", 1)],
    ),
    "a letter of another script": ("a.csv", "t\u0435xt\na\n".encode(), [("misspelt_column", 1)]),
    "a header that is a row, with tabs": (
        "a.tsv", b"How are you doing today?\tFine thanks a lot\nWho?\tMe\n", [("missing_header", 1)],
    ),
    "JSONL that is broken in three ways": (
        "a.jsonl",
        b'{"text":"a"},\n\n{"text":"b",}\n{\'text\':"c"}\n{"text":"d"}\n',
        [("bad_json", 1), ("bad_json", 3), ("bad_json", 4)],
    ),
    "JSONL whose last line is cut off": ("a.jsonl", b'{"text":"a"}\n{"text":"b', [("bad_json", 2)]),
    "bare lists of messages": ("a.jsonl", BARE + BARE, [("not_an_object", 1), ("not_an_object", 2)]),
    "an array with a fault in its fifth line": (
        "a.json", b'[\n {\n  "text": "a"\n },\n {\n  "text": 5\n }\n]\n', [("wrong_type", 5)],
    ),
    "an array that lacks a comma": ("a.json", b'[\n {"text":"a"}\n {"text":"b"}\n]\n', [("bad_json", 3)]),
    "values of every type": (
        "a.jsonl",
        jsonl(*({"text": value} for value in ("a", 1, None, ["x"], True, {"a": 1}))),
        [("wrong_type", line) for line in range(2, 7)],
    ),
    "rows without a key": (
        "a.jsonl", jsonl({"prompt": "a", "text": "b"}, {"prompt": "a"}), [("missing_key", 2)],
    ),
    "JSONL in a zip as macOS packs it": (
        "a.zip",
        zipped({"a.jsonl": b'{"text":"a"}\n{"text":""}\n', "__MACOSX/._a.jsonl": b"x", "a/.DS_Store": b"x"}),
        [("empty_cell", 2)],
    ),
    "a gzip in a gzip": ("a.csv.gz", gzip.compress(gzip.compress(b"text\na\n")), [("not_text", None)]),
    "a gzip that is cut off": (
        "a.csv.gz", gzip.compress(b"text\n" + b"hello\n" * 5_000)[:-20], [("bad_archive", None)],
    ),
    "UTF-16 in a gzip": ("a.csv.gz", gzip.compress("text\ncafé\n".encode("utf-16")), [("encoding", 1)]),
    "UTF-16 without a mark": ("a.csv", "prompt,text\na,b\n".encode("utf-16-be"), [("encoding", 1)]),
    "Japanese in Shift JIS": ("a.csv", "text\n日本語\n".encode("shift-jis"), [("encoding", 2)]),
    "one line of Latin-1": (
        "a.jsonl", '{"text":"café"}\n'.encode() + '{"text":"thé"}\n'.encode("latin-1"), [("mixed_encoding", 2)],
    ),
    "Parquet with a null": ("a.parquet", parquet(text=["a", None]), [("wrong_type", None)]),
    "Parquet with numbers": ("a.parquet", parquet(text=[1]), [("wrong_type", None)]),
    "Parquet with conversations": ("a.parquet", parquet(**{key: [value] for key, value in GOOD.items()}), []),
    "roles and turns": (
        "a.jsonl",
        jsonl(
            GOOD,
            chat(("user", "a"), ("robot", "b")),
            chat(("user", "a"), ("user", "b"), ("assistant", "c")),
            chat(("user", "a"), ("system", "s"), ("assistant", "b")),
            chat(("user", "a")),
            chat(("user", "a"), ("assistant", " ")),
            {"messages": []},
        ),
        [
            ("bad_messages", 2), ("turn_order", 3), ("turn_order", 4), ("bad_messages", 5), ("empty_turn", 6),
            ("bad_messages", 7),
        ],
    ),
    "ShareGPT with a wrong key": ("a.jsonl", TWO_CONVERSATIONS, [("bad_messages", 2)]),
    "an answer that the user gives": ("a.jsonl", jsonl({"prompt": "p", **ANSWERS}), [("bad_messages", 1)]),
    "Python's way to write a list": (
        "a.csv", b"messages\n\"[{'role':'user','content':'a'}]\"\n\"[{\"\"role\"\":\"\"x\"\"}]\"\n",
        [("bad_messages", 2), ("bad_messages", 3)],
    ),
    "answers that differ in a space at the end": (
        "a.csv", b"prompt,text,rejected_text\np,a,a \nq,b,c\n", [("equal_pair", 2)],
    ),
    "a pair turned round": (
        "a.csv", b"prompt,text,rejected_text\np,a,b\nq,c,d\np,b,a\n", [("conflicting_pair", 4)],
    ),
    "repeats of a row over two lines": (
        "a.csv", b'text\n"a\nb"\nc\n"a\nb"\nC\n', [("duplicate_row", 5), ("near_duplicate", 7)],
    ),
    "repeats in another order of keys": (
        "a.jsonl", b'{"prompt":"a","text":"b"}\n{"text":"b","prompt":"a"}\n', [("duplicate_row", 2)],
    ),
    "labels of which half are none": (
        "a.csv", b"prompt,completion,label\na,b,TRUE\nc,d,no\ne,f,maybe\ng,h,\n", [("bad_label", 4), ("bad_label", 5)],
    ),
    "entities, and signs that are none": (
        "a.csv", b"text\n&eacute;t&eacute;\nAT&T R&D\nx&frac12;y\n", [("html_entity", 2), ("html_entity", 4)],
    ),
    "formulae, and lines that are none": (
        "a.csv", b"text\n+SUM(A1)\n=1+1\n=B2\n-5\n- item one\n= the same\n", [("formula", line) for line in (2, 3, 4)],
    ),
    "secrets of seven services": (
        "a.csv", "\n".join(("text", *TOKENS, "")).encode(), [("secret", line) for line in range(2, 9)],
    ),
    "numbers that are nobody's": (
        "a.csv",
        b"text\nDE89 3704 0044 0532 0130 00\nISBN 978-3-16-148410-0\n192.168.100.100 3.14159265358979\n"
        b"2024-01-02 10:11:12\n4111 1111 1111 1112\n",
        [],
    ),
    "numbers that are somebody's": (
        "a.csv",
        b"text\n(415) 555-2671\n020 7946 0958\n+49 (0)30 1234567\n4111 1111 1111 1111\n",
        [("personal_data", line) for line in range(2, 6)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_named_at_its_line_and_no_other(case: str, tmp_path: Path) -> None:
    name, content, faults = CASES[case]
    path = tmp_path / name
    path.write_bytes(content)
    report = check(path, rows=tmp_path / "rows.jsonl", arrow=tmp_path / "rows.arrow")
    found = [(issue.code, issue.line) for issue in report.issues if issue.code not in AMOUNTS]
    assert sorted(found, key=str) == sorted(faults, key=str)
    errors = [issue for issue in report.issues if issue.severity == "error"]
    assert bool(errors) or any(fit.usable for fit in report.methods.values())
    assert path.read_bytes() == content


def test_words_that_other_readers_take_for_nothing_stay_as_they_are(tmp_path: Path) -> None:
    name, content, _ = CASES["words that other readers take for nothing"]
    path, rows = tmp_path / name, tmp_path / "rows.jsonl"
    path.write_bytes(content)
    check(path, rows=rows)
    assert [json.loads(line)["text"] for line in rows.read_text().splitlines()] == content.decode().split("\n")[1:-1]


@pytest.mark.parametrize("case", CASES)
def test_all_that_a_check_offers_to_mend_is_mended(case: str, tmp_path: Path) -> None:
    name, content, _ = CASES[case]
    path, out = tmp_path / name, tmp_path / "mended"
    path.write_bytes(content)
    offered = dict.fromkeys(issue.fix for issue in check(path).issues if issue.fix)
    if not offered:
        return
    assert len(apply(path, out, list(offered)))
    assert not [issue for issue in check(out).issues if issue.fix in offered]
    assert path.read_bytes() == content
