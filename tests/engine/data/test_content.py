"""What is wrong inside texts, and rows that repeat or contradict others; what is right is left alone."""

import json
from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.checks.repeats import Spilled
from engine.data.fixes import apply
from tests.engine.data.tables import found, read_jsonl, write_csv, write_jsonl

GOOD_CARD, NEARLY_A_CARD = "4111 1111 1111 1111", "4111 1111 1111 1112"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe+x@mail.co.uk", "e-mail address"),
        ("call +49 30 1234567 now", "phone number"),
        ("call (415) 555-2671 now", "phone number"),
        ("call 0171 2345678 now", "phone number"),
        (f"pay with {GOOD_CARD}", "payment card"),
        ("pay with 5500-0000-0000-0004", "payment card"),
    ],
)
def test_personal_data_is_counted_by_kind_and_never_repeated(text: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text\n{text}\n")
    report = check(path)
    assert report.stats["personal_data"] == {kind: 1}
    said = [issue.message for issue in report.issues if issue.code == "personal_data"]
    assert kind in said[0] and not any(part in said[0] for part in text.split()[1:] if part not in said[0].split())


@pytest.mark.parametrize(
    "text",
    [
        "someone@example.com",
        "user @ home",
        "def f(self): @property",
        NEARLY_A_CARD,
        "on 2024-11-05 at 10.30",
        "192.168.100.200",
        "0.1234567890 and 1234567890123",
        "0000 0000 0000 0000",
    ],
)
def test_what_belongs_to_nobody_is_no_personal_data(text: str, tmp_path: Path) -> None:
    assert not [
        issue for issue in found(tmp_path, "a.csv", f"text\n{text}\n".encode()) if issue.code == "personal_data"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "SEÑOR “Á”",
        "„Spaß“",
        "Crème brûlée",
        "ÂME",
        "- item (one)",
        "-5",
        "@someone hello",
        "= a",
        "a & b; c",
        "می‌خواهم",
        "👩‍💻",
    ],
)
def test_letters_and_lists_that_are_right_are_left_alone(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'text\n"{text}"\n')
    assert set(check(tmp_path / "a.csv").counts) == {"few_rows"}


@pytest.mark.parametrize("text", ["cafÃ©", "itâ€™s", "ðŸ˜€", "naÃ¯ve", "Ð¿Ñ€Ð¸Ð²ÐµÑ‚"])
def test_misread_letters_are_recognised(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"text\nso {text} it is\n")
    assert check(tmp_path / "a.csv").counts["mojibake"] == 1


def test_only_a_pair_turned_round_under_the_same_prompt_is_a_conflict(tmp_path: Path) -> None:
    rows = b"prompt,text,rejected_text\na,b,c\nx,c,b\na,d,c\na,b,e\na,f,f\na,f,f\n"
    assert "conflicting_pair" not in {issue.code for issue in found(tmp_path, "a.csv", rows)}
    whole = b"text,rejected_text\na,b\nb,a\n"
    assert [(i.row, i.line) for i in found(tmp_path, "b.csv", whole) if i.code == "conflicting_pair"] == [(2, 3)]


def test_repeats_are_found_through_the_disk_as_in_memory() -> None:
    entries = [(number * 0x9E3779B97F4A7C15 % 2**64 if number % 3 else 7, number, number, 1) for number in range(1_000)]
    tables = [Spilled(held) for held in (40, 1 << 20)]
    for table in tables:
        for entry in entries:
            table.add(entry)
    first, second = ([list(part) for part in table.partitions()] for table in tables)
    assert first == second and sorted(entry for part in first for entry in part) == sorted(entries)
    for table in tables:
        table.close()


def test_of_many_repeats_the_first_thousand_are_named_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text\n" + "".join(f"row {number % 2_000}\n" for number in range(5_000)))
    report = check(path)
    named = [issue for issue in report.issues if issue.code == "duplicate_row"]
    assert report.counts["duplicate_row"] == 3_000
    assert [issue.row for issue in named] == list(range(2_001, 3_001)) and "row 1;" in named[0].message


def test_a_backslash_n_in_the_json_of_a_chat_cell_is_a_line_break(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a\nb"}, {"role": "assistant", "content": "c"}]
    report = check(write_csv(tmp_path / "a.csv", [{"messages": json.dumps(turns)}]))
    assert report.methods["sft"].usable and "literal_newline" not in report.counts


def test_what_is_hidden_in_a_list_of_messages_is_found(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a\u200bb"}, {"role": "assistant", "content": "c &amp; d"}]
    counts = check(write_jsonl(tmp_path / "a.jsonl", [{"messages": turns}])).counts
    assert counts["zero_width"] == counts["html_entity"] == 1


def test_rows_that_differ_only_in_their_number_are_the_same(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": str(n), "text": text} for n, text in enumerate("aabA")])
    issues = {(issue.code, issue.row) for issue in check(path).issues}
    assert {("duplicate_row", 2), ("near_duplicate", 4)} <= issues
    assert len(apply(path, tmp_path / "b.jsonl", ["drop_duplicates", "drop_near_duplicates"])) == 2
    assert [row["text"] for row in read_jsonl(tmp_path / "b.jsonl")] == ["a", "b"]
