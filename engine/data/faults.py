"""The smallest file for each code of an issue: a name, and bytes in which the check finds that fault once."""

import gzip
import io
import zipfile
from collections.abc import Mapping

ROW = b'{"text":"good"}\n'
CHAT = b'{"messages":[{"role":"user","content":"hi"},{"role":"%s","content":"%s"}]}\n'
KEY = "hf_" + "a1B2c3D4e5" * 4


def _zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "text\na\n")
    return file.getvalue()


EXAMPLES: Mapping[str, tuple[str, bytes]] = {
    "empty_file": ("a.csv", b""),
    "no_rows": ("a.csv", b"text\n"),
    "not_text": ("a.csv", b"\x89PNG\r\n\x1a\n"),
    "web_page": ("a.csv", b"<!DOCTYPE html><title>Sign in</title>"),
    "unreadable": ("a.parquet", b"PAR1"),
    "bad_archive": ("a.zip", _zipped("a.csv", "b.csv")),
    "too_large": ("a.csv.gz", gzip.compress(b"text\n" + (b"a" * 60_000 + b"\n") * 1_200, 1)),
    "encoding": ("a.csv", "text\na\ncafé\n".encode("cp1252")),
    "mixed_encoding": ("a.csv", "text\ncafé\n".encode() + "thé\n".encode("latin-1")),
    "nul": ("a.csv", b"text\na\nb\0c\n"),
    "line_too_long": ("a.jsonl", ROW + b'{"text":"' + b"a" * 17_000_000),
    "unclosed_quote": ("a.csv", b'text\na\n"b\nc\n'),
    "bad_quote": ("a.csv", b'text\na\n"b"c\nd\n'),
    "stray_quote": ("a.csv", b'prompt,text\na,b\na 5" pipe,b\n'),
    "too_wide": ("a.csv", b"text\na\nb,c\n"),
    "too_narrow": ("a.csv", b"prompt,text\na,b\nc\n"),
    "bad_json": ("a.jsonl", ROW + b'{"text":"a",}\n'),
    "not_an_object": ("a.jsonl", ROW + b'["a"]\n'),
    "too_many_columns": ("a.csv", b"text," + b",".join(b"c%d" % i for i in range(64)) + b"\n"),
    "duplicate_column": ("a.csv", b"text,text\na,b\n"),
    "empty_column_name": ("a.csv", b"text,\na,b\n"),
    "missing_column": ("a.csv", b"prompt,rejected_text\na,b\n"),
    "misspelt_column": ("a.csv", b"prompt,txet,rejected_text\na,b,c\n"),
    "empty_cell": ("a.csv", b"prompt,text\na,b\nc,\n"),
    "wrong_type": ("a.jsonl", ROW + b'{"text":7}\n'),
    "missing_key": ("a.jsonl", ROW + b'{"other":"a"}\n'),
    "bad_messages": ("a.jsonl", CHAT % (b"assistant", b"yo") + CHAT % (b"nobody", b"yo")),
    "bad_label": ("a.csv", b"prompt,text,label\na,b,true\nc,d,false\ne,f,perhaps\n"),
    "label_balance": ("a.csv", b"prompt,text,label\na,b,true\nc,d,true\n"),
    "blank_cell": ("a.csv", b"prompt,text\na,b\nc,  \n"),
    "inner_quote": ("a.csv", b'prompt,text\na,b\nsay "hi" now,b\n'),
    "literal_newline": ("a.csv", b"text\na\nhuman: a \\n bot: b\n"),
    "equal_pair": ("a.csv", b"text,rejected_text\na,b\nc,c\n"),
    "duplicate_row": ("a.csv", b"text\na\nb\na\n"),
    "few_rows": ("a.csv", b"text\na\n"),
    "control_character": ("a.csv", b"text\na\nb\x1b[31m\n"),
    "bidi_character": ("a.csv", "text\na\nb\u202etxt\n".encode()),
    "missing_header": ("a.csv", b"What is the capital of France?,Paris\nWhat is the capital of Peru?,Lima\n"),
    "zero_width": ("a.csv", "text\na\nb\u200bc\n".encode()),
    "html_entity": ("a.csv", b"text\na\nthis &amp; that\n"),
    "mojibake": ("a.csv", "text\na café\na caf\u00c3\u00a9\n".encode()),
    "formula": ("a.csv", b"prompt,text\na,b\na,=SUM(A1:A3)\n"),
    "personal_data": ("a.csv", b"text\na\nask jane.doe@mail.org today\n"),
    "near_duplicate": ("a.csv", b"text\na b\nc\nA  b\n"),
    "conflicting_pair": ("a.csv", b"prompt,text,rejected_text\na,b,c\nd,b,c\na,c,b\n"),
    "few_tokens": ("a.csv", b"text\n" + b"".join(b"%d\n" % i for i in range(20))),
    "templated_text": ("a.csv", b"text\n<|im_start|>user hi<|im_end|>\n"),
    "secret": ("a.csv", f"text\na\nmy key is {KEY}\n".encode()),
    "repeated_header": ("a.csv", b"prompt,text\na,b\nprompt,text\n"),
    "late_column": ("a.jsonl", ROW * 1_000 + b'{"text":"a","note":"b"}\n'),
    "empty_turn": ("a.jsonl", CHAT % (b"assistant", b"yo") + CHAT % (b"assistant", b"")),
    "turn_order": (
        "a.jsonl",
        CHAT % (b"assistant", b"yo") + b'{"messages":[{"role":"assistant","content":"a"}]}\n',
    ),
    "unheeded_key": (
        "a.jsonl",
        CHAT % (b"assistant", b"yo") + (CHAT % (b"assistant", b"hm")).replace(b'"hm"', b'"hm","weight":0'),
    ),
    "blank_line": ("a.csv", b"text\na\n\nb\n"),
    "unused_column": ("a.csv", b"text,comment\na,b\n"),
}
"""Where a file has several faults, the example is for the one that it is named by."""
