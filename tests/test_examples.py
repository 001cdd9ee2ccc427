"""The datasets that the project ships: what the training examples promise, and that the broken ones are broken."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
COLUMNS = {
    "facts": ("text",),
    "preferences": ("prompt", "text", "rejected_text"),
    "rewards": ("text", "rejected_text"),
    "passages": ("text",),
}
FAULT = re.compile(r"^\| (\d+) \| (.+) \|$", re.MULTILINE)

Row = dict[str, str]


def csv_rows(name: str) -> list[Row]:
    with (EXAMPLES / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def jsonl_rows(name: str) -> list[Row]:
    lines = (EXAMPLES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def unescaped(row: Row) -> Row:
    return {column: cell.replace(" \\n ", "\n") for column, cell in row.items()}


def turns(text: str) -> tuple[str, str]:
    """The question and the answer of a cell `human: … \\n bot: …`."""
    found = re.fullmatch(r"human: (.+) \\n bot: (.+)", text)
    assert found, text
    return found[1], found[2]


def words(text: str) -> list[str]:
    return re.findall(r"[\w=/]+", text.lower())


def runs_of_words(text: str, length: int) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[at : at + length]) for at in range(len(found) - length + 1)}


def questions(name: str) -> list[str]:
    return [row["prompt"] for row in csv_rows(name)]


@pytest.mark.parametrize("name", COLUMNS)
def test_csv_and_jsonl_hold_the_same_rows(name: str) -> None:
    assert [unescaped(row) for row in csv_rows(name)] == jsonl_rows(name)


@pytest.mark.parametrize("name", [*COLUMNS, *(f"{name}-heldout" for name in COLUMNS)])
def test_every_row_has_exactly_the_columns_of_its_method_and_no_empty_cell(name: str) -> None:
    for row in csv_rows(name):
        assert tuple(row) == COLUMNS[name.removesuffix("-heldout")]
        assert all(cell and cell == cell.strip() for cell in row.values())


@pytest.mark.parametrize("name", COLUMNS)
def test_there_are_enough_rows_and_none_twice(name: str) -> None:
    rows = [tuple(row.values()) for row in csv_rows(name)]
    assert len(rows) >= {"passages": 120}.get(name, 96)
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("name", COLUMNS)
def test_the_readme_counts_the_rows_right(name: str) -> None:
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}.csv`, `.jsonl` | {len(csv_rows(name))} |" in readme


def test_each_fact_is_asked_in_at_least_four_ways_and_answered_in_few_words() -> None:
    pairs = [turns(row["text"]) for row in csv_rows("facts")]
    ways = Counter(answer for _, answer in pairs)
    assert len(ways) >= 20
    assert min(ways.values()) >= 4
    assert max(len(answer.split()) for answer in ways) <= 20
    assert len({question for question, _ in pairs}) == len(pairs)


@pytest.mark.parametrize("part", ["", "-heldout"])
def test_preferences_and_rewards_are_the_same_pairs(part: str) -> None:
    for pair, reward in zip(csv_rows(f"preferences{part}"), csv_rows(f"rewards{part}"), strict=True):
        assert turns(reward["text"]) == (pair["prompt"], pair["text"])
        assert turns(reward["rejected_text"]) == (pair["prompt"], pair["rejected_text"])


def test_facts_are_the_preferred_answers() -> None:
    preferred = [(row["prompt"], row["text"]) for row in csv_rows("preferences")]
    assert [turns(row["text"]) for row in csv_rows("facts")] == preferred


def test_each_rejected_answer_is_used_once_and_is_never_a_right_one() -> None:
    rows = csv_rows("preferences") + csv_rows("preferences-heldout")
    rejected = [row["rejected_text"] for row in rows]
    assert len(set(rejected)) == len(rejected)
    assert not {row["text"] for row in rows} & set(rejected)


def test_held_out_sets_have_their_size() -> None:
    sizes = {name: len(csv_rows(f"{name}-heldout")) for name in COLUMNS}
    assert sizes.pop("facts") == 5
    assert all(8 <= size <= 16 for size in sizes.values())


def test_held_out_questions_share_no_four_words_in_a_row_with_training() -> None:
    seen = set().union(*(runs_of_words(question, 4) for question in questions("preferences")))
    asked = questions("preferences-heldout") + [turns(row["text"])[0] for row in csv_rows("facts-heldout")]
    assert {question: runs_of_words(question, 4) & seen for question in asked} == {q: set() for q in asked}


def test_held_out_answers_are_facts_of_the_training_set() -> None:
    taught = {row["text"] for row in csv_rows("preferences")}
    assert {row["text"] for row in csv_rows("preferences-heldout")} <= taught
    assert {turns(row["text"])[1] for row in csv_rows("facts-heldout")} <= taught


def test_held_out_passages_do_not_repeat_training_passages() -> None:
    seen = set().union(*(runs_of_words(row["text"], 8) for row in csv_rows("passages")))
    for row in csv_rows("passages-heldout"):
        assert not runs_of_words(row["text"], 8) & seen


def test_distinctive_words_are_in_the_answer_and_not_in_the_question() -> None:
    judged = json.loads((EXAMPLES / "facts-heldout.json").read_text(encoding="utf-8"))
    pairs = [turns(row["text"]) for row in csv_rows("facts-heldout")]
    assert [one["question"] for one in judged] == [question for question, _ in pairs]
    for one, (question, answer) in zip(judged, pairs, strict=True):
        assert one["any_of"]
        for required in one["any_of"]:
            assert required
            assert all(word in answer and word.lower() not in question.lower() for word in required)


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


def value(line: str) -> object:
    return json.loads(line)


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
        return type(value(line)) is {"array": list, "string": str}[kind.split()[0]]
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
    if is_bad_json(line) or not isinstance(value(line), dict):
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
    assert all(tuple(json.loads(line)) == COLUMNS["preferences"] for line in sound)
