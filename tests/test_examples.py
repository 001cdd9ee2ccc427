"""The datasets that the project ships: what the training examples promise."""

import csv
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
    "answers": ("prompt", "text", "label"),
    "passages": ("text",),
}

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
