"""The broken datasets that the project ships: each fault is where the README says, and the check finds it."""

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
COLUMNS = ("prompt", "text", "rejected_text")
FAULT = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)


def faults(suffix: str) -> dict[int, str]:
    """Line → fault, as the README says of the broken file with that suffix."""
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    section = readme.partition(f"## Faults in broken.{suffix}\n")[2].partition("\n## ")[0]
    return {int(line): fault for line, fault in FAULT.findall(section)}


def broken_lines(suffix: str) -> list[str]:
    """The physical lines, the first at index 1; a byte that is not UTF-8 becomes a lone surrogate."""
    content = (EXAMPLES / f"broken.{suffix}").read_bytes().decode("utf-8", "surrogateescape")
    return ["", *content.removesuffix("\n").split("\n")]


def cells(line: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), strict=True))


def refuses(line: str) -> bool:
    try:
        next(csv.reader(io.StringIO(line), strict=True))
    except csv.Error:
        return True
    return False


def is_bad_json(line: str) -> bool:
    try:
        json.loads(line)
    except json.JSONDecodeError:
        return True
    return False


def members(line: str) -> list[tuple[str, object]]:
    """Key and value as they stand, so that a key that is there twice is seen twice."""
    pairs: list[tuple[str, object]] = json.loads(line, object_pairs_hook=list)
    return pairs


def has_fault_csv(fault: str, line: str, lines: list[str]) -> bool:
    kind = fault.split(":")[0].split(" (")[0]
    match kind:
        case "too many fields":
            return len(cells(line)) > 3
        case "too few fields":
            return len(cells(line)) < 3
        case "empty cell in `text`" | "empty cell in `prompt`":
            return cells(line)[cells(lines[1]).index(kind.split("`")[1])] == ""
        case "blank cell in `rejected_text`":
            return cells(line)[2].isspace()
        case "invalid UTF-8":
            return any("\udc80" <= letter <= "\udcff" for letter in line)
        case "stray quote inside a quoted cell" | "unclosed quote":
            return refuses(line)
        case "chosen = rejected":
            return cells(line)[1] == cells(line)[2]
        case _:
            return has_fault_of_any_format(kind, line, lines)


def has_fault_jsonl(fault: str, line: str, lines: list[str]) -> bool:
    kind = fault.split(":")[0].split(" (")[0]
    if kind in ("bad JSON", "two objects on one line"):
        return is_bad_json(line)
    if kind in ("array instead of an object", "string instead of an object"):
        return type(json.loads(line)) is {"array": list, "string": str}[kind.split()[0]]
    match kind:
        case "duplicate key `text`":
            return [key for key, _ in members(line)].count("text") == 2
        case "missing key `rejected_text`":
            return [key for key, _ in members(line)] == ["prompt", "text"]
        case "misspelt key `promt`":
            return [key for key, _ in members(line)] == ["promt", "text", "rejected_text"]
        case "NaN, which JSON does not have":
            return ": NaN," in line
        case "chosen = rejected":
            return members(line)[1][1] == members(line)[2][1]
        case "half of an emoji":
            return any("\ud800" <= letter <= "\udfff" for letter in str(members(line)[1][1]))
        case _:
            return has_value_fault(kind, line) or has_fault_of_any_format(kind, line, lines)


def has_value_fault(kind: str, line: str) -> bool:
    if is_bad_json(line) or not isinstance(json.loads(line), dict):
        return False
    row = dict(members(line))
    match kind:
        case "number where a string is needed":
            return isinstance(row["text"], int)
        case "null where a string is needed":
            return row["text"] is None
        case "list where a string is needed":
            return isinstance(row["text"], list)
        case "empty string in `text`":
            return row["text"] == ""
        case "blank string in `rejected_text`":
            return str(row["rejected_text"]).isspace()
        case _:
            return False


def has_fault_of_any_format(kind: str, line: str, lines: list[str]) -> bool:
    if kind.startswith("duplicate of line "):
        return line == lines[int(kind.rpartition(" ")[2])]
    signs = {
        "control character": "\x07",
        "literal `\\n`": "\\n",
        "secret": "hf_",
        "zero-width space": "\u200b",
        "bidirectional control characters": "\u202e",
        "HTML entities": "&amp;",
    }
    return signs[kind] in line if kind in signs else False


@pytest.mark.parametrize(("line", "fault"), faults("csv").items())
def test_broken_csv_has_the_fault_that_the_readme_says(line: int, fault: str) -> None:
    lines = broken_lines("csv")
    assert has_fault_csv(fault, lines[line], lines)


@pytest.mark.parametrize(("line", "fault"), faults("jsonl").items())
def test_broken_jsonl_has_the_fault_that_the_readme_says(line: int, fault: str) -> None:
    lines = broken_lines("jsonl")
    assert has_fault_jsonl(fault, lines[line], lines)


def test_the_broken_files_have_many_different_faults() -> None:
    assert len(set(faults("csv").values())) >= 8
    assert len(set(faults("jsonl").values())) >= 8


def test_lines_of_the_broken_csv_that_the_readme_does_not_name_are_sound() -> None:
    lines = broken_lines("csv")
    named = faults("csv")
    two_lines = "\n".join(lines[9:11]) + "\n"
    sound = [line for at, line in enumerate(lines) if at > 1 and at not in {*named, 9, 10}]
    assert sound
    assert all(len(cells(line)) == 3 and all(cells(line)) for line in sound)
    assert len(cells(two_lines)) == 3


def test_lines_of_the_broken_jsonl_that_the_readme_does_not_name_are_sound() -> None:
    lines = broken_lines("jsonl")
    sound = [line for at, line in enumerate(lines) if at > 0 and at not in faults("jsonl")]
    assert sound
    assert all(tuple(json.loads(line)) == COLUMNS for line in sound)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_the_check_names_each_line_that_the_readme_names_and_no_other(suffix: str) -> None:
    command = [sys.executable, "-m", "engine", "check", f"examples/broken.{suffix}", "--method", "dpo", "--json"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 1, checked.stderr
    issues = json.loads(checked.stdout)["issues"]
    reported = {issue["line"] for issue in issues if issue["line"] and issue["severity"] != "note"}
    assert reported == set(faults(suffix))
