"""Every code of an issue is found where it is, with its line, and what is fine is left alone."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from engine.data.checks import check
from engine.data.checks.grouping import group
from engine.data.faults import EXAMPLES
from engine.data.findings import CELL_ERRORS, COLUMN_ERRORS, FILE_ERRORS, NOTES, WARNINGS, severity
from engine.data.types import NEEDS
from engine.refusal import Refusal
from tests.engine.data.tables import DPO, SFT, TABLES, found, read_jsonl, write_csv, write_jsonl

KEY = "hf_" + "a1B2c3D4e5" * 4

LINES: dict[str, int | None] = {
    "empty_file": None,
    "no_rows": 1,
    "not_text": None,
    "web_page": None,
    "unreadable": None,
    "bad_archive": None,
    "too_large": None,
    "encoding": 3,
    "mixed_encoding": 3,
    "nul": 3,
    "line_too_long": 2,
    "unclosed_quote": 3,
    "bad_quote": 3,
    "stray_quote": 3,
    "too_wide": 3,
    "too_narrow": 3,
    "bad_json": 2,
    "not_an_object": 2,
    "too_many_columns": 1,
    "duplicate_column": 1,
    "empty_column_name": 1,
    "missing_column": 1,
    "misspelt_column": 1,
    "empty_cell": 3,
    "wrong_type": 2,
    "missing_key": 2,
    "bad_messages": 2,
    "bad_label": 4,
    "label_balance": None,
    "blank_cell": 3,
    "inner_quote": 3,
    "literal_newline": 3,
    "equal_pair": 3,
    "duplicate_row": 4,
    "few_rows": None,
    "control_character": 3,
    "bidi_character": 3,
    "missing_header": 1,
    "zero_width": 3,
    "html_entity": 3,
    "mojibake": 3,
    "formula": 3,
    "personal_data": 3,
    "near_duplicate": 4,
    "conflicting_pair": 4,
    "few_tokens": None,
    "templated_text": None,
    "secret": 3,
    "repeated_header": 3,
    "late_column": 1001,
    "empty_turn": 2,
    "turn_order": 2,
    "unheeded_key": 2,
    "blank_line": None,
    "unused_column": None,
}
"""Code → the physical line at which its example has the fault."""
ADVICE = re.compile(
    r"\b(it must be|upload|save|add|drop|write|put|quote|close|double|mend|fill|rename|cut|take|turn|"
    r"repair|mask|paste|keep|train|remove|delete|give|needs|download)\b",
    re.IGNORECASE,
)
"""Every message says what to do."""


@pytest.mark.parametrize("code", EXAMPLES)
def test_a_fault_is_found_at_its_line(code: str, tmp_path: Path) -> None:
    (name, content), line = EXAMPLES[code], LINES[code]
    issues = [issue for issue in found(tmp_path, name, content) if issue.code == code]
    assert [issue.line for issue in issues] == [line]
    assert issues[0].severity == severity(code)
    assert len(issues[0].message) <= 300 and issues[0].message.isprintable()
    assert ADVICE.search(issues[0].message), issues[0].message
    if line is not None:
        assert issues[0].message.startswith(f"Line {line}: ")


def test_every_code_has_an_example() -> None:
    codes = CELL_ERRORS | COLUMN_ERRORS | FILE_ERRORS | WARNINGS | NOTES
    assert set(EXAMPLES) == set(LINES) == codes - {"over_long", "nothing_left"}


@pytest.mark.parametrize("method", TABLES)
@pytest.mark.parametrize("write", [write_csv, write_jsonl])
def test_the_tables_of_autotrains_page_are_used_as_they_stand(method: str, write: object, tmp_path: Path) -> None:
    assert callable(write)
    path = write(tmp_path / "data", TABLES[method])
    report = check(path, method=method, rows=tmp_path / "rows.jsonl")
    fit = report.methods[method]
    assert fit.usable and fit.rows_used == len(TABLES[method]) and fit.rows_dropped == 0
    assert read_jsonl(tmp_path / "rows.jsonl") == list(TABLES[method])
    assert not [issue for issue in report.issues if issue.severity == "error"]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    text = 'prompt,text\na,b\n"x,y\nc,d,e\nf,\n"g","h\nh"\ni\nj,"k"l\nm,n\n'
    issues = found(tmp_path, "a.csv", text.encode())
    places = {(issue.code, issue.line) for issue in issues if issue.severity == "error"}
    assert places == {
        ("unclosed_quote", 3),
        ("too_wide", 4),
        ("empty_cell", 5),
        ("too_narrow", 8),
        ("bad_quote", 9),
    }


def test_a_fault_in_a_long_cell_is_not_taken_for_more_faults(tmp_path: Path) -> None:
    text = 'prompt,text\na,b\n"one\ntwo\nthree"x,y\nc,d\n'
    errors = [issue for issue in found(tmp_path, "a.csv", text.encode()) if issue.severity == "error"]
    assert [(issue.code, issue.line) for issue in errors] == [("unclosed_quote", 3)]


def test_every_row_one_cell_too_wide_is_an_error_in_every_row(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", b"prompt,text,rejected_text\na,b,c,\nd,e,f,\n")
    assert [issue.line for issue in issues if issue.code == "too_wide"] == [2, 3]


def test_lines_are_physical_and_rows_are_counted_from_one(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", b'prompt,text\n"a\nb\nc",d\n\ne,\n')
    assert [(issue.line, issue.row) for issue in issues if issue.code == "empty_cell"] == [(6, 2)]


@pytest.mark.parametrize("value", ["NA", "null", "None", "nan", "007", "1.0", "true", "2020-01-01", " a "])
@pytest.mark.parametrize("write", [write_csv, write_jsonl])
def test_a_value_stays_the_string_in_the_file(value: str, write: object, tmp_path: Path) -> None:
    assert callable(write)
    path = write(tmp_path / "data", [{"prompt": value, "text": value}])
    check(path, rows=tmp_path / "rows.jsonl", arrow=tmp_path / "rows.arrow")
    assert read_jsonl(tmp_path / "rows.jsonl") == [{"prompt": value, "text": value}]
    with pa.memory_map(str(tmp_path / "rows.arrow")) as file:
        assert pa.ipc.open_stream(file).read_all().to_pylist() == [{"prompt": value, "text": value}]


def test_keys_that_a_row_lacks_are_null_in_arrow(tmp_path: Path) -> None:
    rows = [{"text": "ä" * (number % 5 + 1), **({"id": str(number)} if number % 3 else {})} for number in range(2_345)]
    check(write_jsonl(tmp_path / "a.jsonl", rows), arrow=tmp_path / "rows.arrow")
    with pa.memory_map(str(tmp_path / "rows.arrow")) as file:
        table = pa.ipc.open_stream(file).read_all()
    table.validate(full=True)
    assert table.to_pylist() == [{"id": None, **row} for row in rows]


def test_a_secret_is_counted_and_never_repeated(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"text\nmy key is {KEY}\nxoxb-1234567890-abc\n")
    report = check(path)
    assert report.stats["secrets"] == {"Hugging Face token": 1, "Slack token": 1}
    assert not any(KEY[:12] in issue.message for issue in report.issues)


@pytest.mark.parametrize(
    ("header", "mapping"),
    [
        ("prompt,completion", {"prompt": "prompt", "text": "completion"}),
        ("question,answer", {"prompt": "question", "text": "answer"}),
        ("instruction,input,output", {"prompt": "instruction", "text": "output", "input": "input"}),
    ],
)
def test_usual_names_are_read_for_what_they_mean(header: str, mapping: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\n" + ",".join("abc"[: header.count(",") + 1]) + "\n")
    assert check(path).methods["sft"].mapping == mapping


def test_usual_names_beside_unknown_ones_are_only_suggested(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question,answer,bad_answer\na,b,c\n")
    report = check(path)
    assert not any(fit.usable for fit in report.methods.values())
    assert "prompt=question text=answer" in report.issues[0].message
    chosen = check(path, mapping={"prompt": "question", "text": "answer", "rejected_text": "bad_answer"})
    assert chosen.methods["dpo"].usable and chosen.methods["sft"].usable


def test_trls_own_columns_are_read(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "chosen": "b", "rejected": "c"}]
    fits = check(write_jsonl(tmp_path / "a.jsonl", rows)).methods
    assert fits["dpo"].mapping == {"prompt": "prompt", "text": "chosen", "rejected_text": "rejected"}
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    worse = [turns[0], {"role": "assistant", "content": "c"}]
    lists = check(write_jsonl(tmp_path / "b.jsonl", [{"chosen": turns, "rejected": worse}]))
    assert lists.methods["dpo"].usable and lists.type == "preference, conversational"


def test_lists_of_messages_are_read_wherever_trl_has_them(tmp_path: Path) -> None:
    asked, answer = [{"role": "user", "content": "a"}], [{"role": "assistant", "content": "b"}]
    worse = [{"role": "assistant", "content": "c"}]
    pairs = check(write_jsonl(tmp_path / "a.jsonl", [{"prompt": asked, "chosen": answer, "rejected": worse}]))
    assert pairs.methods["dpo"].usable and "turn_order" not in pairs.counts
    answers = check(write_jsonl(tmp_path / "b.jsonl", [{"prompt": asked, "completion": answer}]))
    assert answers.methods["sft"].usable
    assert not check(write_jsonl(tmp_path / "c.jsonl", [{"text": answer}])).methods["sft"].usable


def test_names_in_another_case_are_renamed_to_the_nearest_ones(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", b"Prompt,Chosen,Rejected\na,b,c\n")
    assert [issue.column for issue in issues if issue.severity == "error"] == ["prompt", "chosen", "rejected"]
    assert {issue.fix for issue in issues if issue.severity == "error"} == {"rename_columns"}


def test_a_header_under_blank_lines_is_named_by_its_own_line(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", b"\n\nprompt,Text\na,b\n")
    assert [(issue.code, issue.line) for issue in issues if issue.severity == "error"] == [("misspelt_column", 3)]


def test_one_object_over_several_lines_is_said_to_be_one(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.json", b'{\n "text": "a"\n}\n')
    assert [(issue.code, issue.line) for issue in issues] == [("bad_json", 1)]
    assert "one whole object a line" in issues[0].message


def test_only_the_columns_of_the_method_matter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,text,rejected_text\na,b,\nd,e,f\n")
    report = check(path)
    assert report.methods["sft"].usable and not report.methods["dpo"].usable
    assert report.methods["dpo"].rows_dropped == 1
    assert [issue.code for issue in check(path, method="sft").issues if issue.severity == "error"] == []


def test_a_wrong_method_is_refused_with_the_right_word(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="Did you mean dpo"):
        check(write_csv(tmp_path / "a.csv", DPO), method="dop")


def test_all_methods_are_always_answered_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\x89PNG")
    report = check(path)
    assert set(report.methods) == set(NEEDS)
    assert report.methods["dpo"].missing_columns == ("prompt", "text", "rejected_text")


def test_only_equal_rows_are_called_the_same(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", b'prompt,text\n"a\nb",c\na,"b\nc"\n')
    assert "duplicate_row" not in {issue.code for issue in issues}
    turned = found(tmp_path, "a.jsonl", b'{"prompt":"a","text":"b"}\n{"text":"b","prompt":"a"}\n')
    assert [issue.line for issue in turned if issue.code == "duplicate_row"] == [2]


def test_a_thousand_issues_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,text\n" + "a,\n" * 1_500)
    report = check(path)
    assert len(report.issues) == 1_000
    assert report.counts["empty_cell"] == 1_500
    assert "1,500 rows with an empty `text`: lines 2, 3, 4, 5, 6 …" in group(report.issues, report.counts)


def test_turns_are_recognised_over_all_rows(tmp_path: Path) -> None:
    turns = check(write_csv(tmp_path / "a.csv", SFT)).stats["turns"]
    assert turns == {"style": "human/bot", "example": "human: … bot: …", "rows": 4, "of": 4, "is_all": True}


def test_nothing_hidden_is_shown_raw(tmp_path: Path) -> None:
    issues = found(tmp_path, "a.csv", "te\u202ext\x1b[31m,@everyone\na,b\n".encode())
    assert issues and all(issue.message.isprintable() for issue in issues)


def test_a_conversation_that_ends_with_the_user_is_doubted(tmp_path: Path) -> None:
    turns = [{"role": role, "content": "a"} for role in ("user", "assistant", "user")]
    report = check(write_jsonl(tmp_path / "a.jsonl", [{"messages": turns}]))
    issues = [issue for issue in report.issues if issue.code == "turn_order"]
    assert [issue.severity for issue in issues] == ["warning"] and "nothing is learned" in issues[0].message
