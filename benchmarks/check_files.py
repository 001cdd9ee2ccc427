"""The files of the measurement: three columns, half of the cells over several lines, every row another one."""

import csv
import io
import json
import random
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ("prompt", "text", "rejected_text")
TEXT = (
    "the model learns what people ask in a thread and answers with a line that names the fault and how to mend it; "
    "über café naïve Größe 2,048 tokens 3.5 hours a dataset of rows columns checks queue run step loss push hub card "
    "yesterday somebody wrote down why this works and where it fails under load with care for detail"
)
FAULTS: dict[str, int] = {
    "too_wide": 101,
    "too_narrow": 2_003,
    "empty_cell": 3_001,
    "stray_quote": 4_001,
    "unclosed_quote": 5_001,
    "bad_quote": 6_001,
    "mixed_encoding": 7_001,
    "nul": 8_001,
    "duplicate_row": 9_001,
    "near_duplicate": 10_001,
    "equal_pair": 11_001,
    "conflicting_pair": 12_001,
    "secret": 13_001,
    "personal_data": 14_001,
    "zero_width": 15_001,
    "mojibake": 16_001,
    "html_entity": 17_001,
    "literal_newline": 18_001,
    "bidi_character": 19_001,
    "control_character": 20_001,
}
"""Code → row in which it is planted. In JSONL the faults of CSV's syntax are faults of JSON."""
JSON_CODES = {
    "too_wide": "bad_json", "too_narrow": "missing_key", "stray_quote": "wrong_type", "unclosed_quote": "bad_json",
    "bad_quote": "not_an_object",
}  # fmt: skip
IN_TEXT = {
    "nul": "a\0b", "secret": "key hf_" + "Ab3dE" * 8, "personal_data": "ask ann.lee@mail.org", "zero_width": "a\u200bb",
    "mojibake": "cafÃ©", "html_entity": "a &amp; b", "literal_newline": "a \\n b", "bidi_character": "a\u202eb",
    "control_character": "a\x07b", "near_duplicate": "Same  AS   before", "mixed_encoding": "caf\udce9",
}  # fmt: skip


def rows() -> Iterator[dict[str, str]]:
    """Endless rows of about 950 bytes, always the same ones."""
    draw = random.Random(0)  # noqa: S311  # a draw that can be repeated
    words = TEXT.split()
    sentences = [" ".join(draw.choices(words, k=draw.randrange(12, 40))) for _ in range(2_000)]
    number = 0
    while True:
        number += 1
        breaks = "\n" if number % 2 else " "
        cells = [breaks.join(draw.choices(sentences, k=2)) for _ in COLUMNS]
        cells[0] = f"{number}: {cells[0]}"
        yield dict(zip(COLUMNS, cells, strict=True))


def write(path: Path, size: int, faults: dict[str, int]) -> dict[str, int]:
    """Write at least `size` bytes; code → physical line of each planted fault that the size left room for."""
    by_row = {row: code for code, row in faults.items()}
    is_csv = path.suffix == ".csv"
    lines: dict[str, int] = {}
    line, before = 1, dict.fromkeys(COLUMNS, "")
    with path.open("wb") as file:
        if is_csv:
            line += file.write((",".join(COLUMNS) + "\n").encode()) > 0
        for number, row in enumerate(rows(), 1):
            code = by_row.get(number, "")
            planted = _planted(code, row, before)
            text = (_csv_line(planted, code) if is_csv else _json_line(planted, code)).encode(errors="surrogateescape")
            if code:
                lines[code if is_csv else JSON_CODES.get(code, code) + f"@{code}"] = line
            file.write(text)
            line += text.count(b"\n")
            before = planted
            if number % 1_000 == 0 and file.tell() >= size:
                return lines
    return lines


def _planted(code: str, row: dict[str, str], before: dict[str, str]) -> dict[str, str]:
    if code == "duplicate_row":
        return dict(before)
    if code == "near_duplicate":
        return {name: value.upper().replace(" ", "  ") for name, value in before.items()}
    if code == "equal_pair":
        return {**row, "rejected_text": row["text"]}
    if code == "conflicting_pair":
        return {"prompt": before["prompt"], "text": before["rejected_text"], "rejected_text": before["text"]}
    if code == "empty_cell":
        return {**row, "text": ""}
    one_line = {**row, "prompt": row["prompt"].replace("\n", " ")}
    return {**one_line, "text": IN_TEXT[code]} if code in IN_TEXT else row


def _csv_line(row: dict[str, str], code: str) -> str:
    one = row["prompt"].replace("\n", " ")
    broken = {
        "too_wide": f'"{one}",b,c,d\n',
        "too_narrow": f'"{one}",b\n',
        "stray_quote": 'a,a 5" pipe,c\n',
        "unclosed_quote": 'a,"b,c\nd,e,f\n',
        "bad_quote": 'a,"b"x,c\n',
    }
    if code in broken:
        return broken[code]
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\n").writerow(row.values())
    return line.getvalue()


def _json_line(row: dict[str, str], code: str) -> str:
    broken = {
        "too_wide": '{"prompt": "a", "text": "b",}\n',
        "too_narrow": '{"prompt": "a", "text": "b"}\n',
        "stray_quote": '{"prompt": "a", "text": 7, "rejected_text": "c"}\n',
        "unclosed_quote": '{"prompt": "a", "text": "b\n',
        "bad_quote": '["a", "b", "c"]\n',
    }
    if code in broken:
        return broken[code]
    text = json.dumps(row, ensure_ascii=False) + "\n"
    return text.replace("\\u0000", "\0") if code == "nul" else text
