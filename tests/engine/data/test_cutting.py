"""Rows that are too long end where a sentence or a turn ends, as late as they fit, and nothing else of them changes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.data.checks import check
from engine.data.fixes import apply
from engine.data.fixes.changes import Written
from engine.data.preview.cutting import Cutting
from engine.data.preview.fate import UNLIMITED, encode
from engine.data.preview.plan import Plan
from engine.data.preview.tokens import FileTokenizer
from engine.data.types import Row
from engine.jobs import Source
from tests.engine.data.tables import TABLES, read_jsonl, write_jsonl
from tests.mini import make_causal

TEXTS = [str(value) for rows in TABLES.values() for row in rows for value in row.values()]
ROOM = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_causal(tmp_path_factory.mktemp("models") / "chat", TEXTS)


def cutting(model: Path, way: Mapping[str, str], method: str = "sft", room: int = ROOM, **source: bool) -> Cutting:
    plan = Plan(method, Source("a.jsonl", "", way, **source), {}, True)
    return Cutting(plan, FileTokenizer(model), room)


def cut(made: Cutting, row: Row) -> dict[str, str]:
    return {column: written.text for column, written in made.shortened(row).items()}


def size(made: Cutting, row: Row) -> int:
    encoded = encode(made.plan.row(row), made.plan.method, made.tokenizer, UNLIMITED)
    assert isinstance(encoded, dict)
    return max(len(encoded[name]) for name in encoded if name.endswith("ids")) + len(encoded.get("prompt_ids", ()))


def talk(*texts: str) -> list[dict[str, Any]]:
    roles = ("user", "assistant")
    return [{"role": roles[number % 2], "content": text, "id": number} for number, text in enumerate(texts)]


def test_a_text_keeps_every_sentence_that_fits(model: Path) -> None:
    made = cutting(model, {"text": "text"})
    sentences = [f"What is {number}?" for number in range(40)]
    kept = cut(made, {"text": " ".join(sentences)})["text"]
    number = kept.count("?")
    assert kept == " ".join(sentences[:number]) and 0 < number < 40
    assert size(made, {"text": kept}) <= ROOM < size(made, {"text": " ".join(sentences[: number + 1])})


@pytest.mark.parametrize("method", ["dpo", "orpo", "reward"])
def test_each_answer_of_a_pair_is_cut_by_itself_and_the_prompt_never(model: Path, method: str) -> None:
    made = cutting(model, {"prompt": "q", "text": "good", "rejected_text": "worse"}, method)
    row = {"q": "how are you", "good": "I am fine! " * 40, "worse": "I am not."}
    kept = cut(made, row)
    assert set(kept) == {"good"} and kept["good"].endswith("fine!")
    assert made.shortened({**row, **kept}) == {}
    assert cut(made, {**row, "q": "how are you " * 80}) == {}, "nothing of the answers makes room for a long prompt"


def test_a_conversation_loses_whole_turns_at_its_end(model: Path) -> None:
    made = cutting(model, {"messages": "messages"})
    turns = talk(*(f"hello {number}. hi again." for number in range(30)))
    kept = json.loads(cut(made, {"messages": turns})["messages"])
    assert kept == turns[: len(kept)] and kept[-1]["role"] == "assistant", "and each message keeps its other keys"
    assert size(made, {"messages": kept}) <= ROOM < size(made, {"messages": turns[: len(kept) + 2]})
    (written,) = made.shortened({"messages": json.dumps(turns)}).values()
    assert written.how == f"cut by {30 - len(kept)} messages at its end", "a cell of a table holds the same as JSON"


def test_only_a_first_answer_that_is_too_long_loses_sentences(model: Path) -> None:
    made = cutting(model, {"messages": "conversations"})
    turns = [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "I am fine! " * 40}]
    more = [{"from": "human", "value": "and?"}, {"from": "gpt", "value": "yes"}]
    kept = json.loads(cut(made, {"conversations": turns + more})["conversations"])
    assert len(kept) == 2 and kept[0] == turns[0]
    assert kept[1]["value"].endswith("fine!") and turns[1]["value"].startswith(kept[1]["value"])
    assert size(made, {"conversations": kept}) <= ROOM


def test_an_answer_in_messages_is_cut_in_its_last_one(model: Path) -> None:
    made = cutting(model, {"prompt": "prompt", "text": "chosen", "rejected_text": "rejected"}, "dpo")
    answers = {"chosen": talk("", "I am fine! " * 40)[1:], "rejected": talk("", "no")[1:]}
    kept = cut(made, {"prompt": talk("how are you"), **answers})
    (message,) = json.loads(kept["chosen"])
    assert set(kept) == {"chosen"} and message["role"] == "assistant" and message["content"].endswith("fine!")


def test_turn_markers_are_cut_by_exchanges(model: Path) -> None:
    made = cutting(model, {"text": "text"}, as_conversation=True)
    text = "\n".join(f"human: hello. Are you {number}?\nbot: I am. Yes." for number in range(20))
    kept = cut(made, {"text": text})["text"]
    assert text.startswith(kept) and kept.endswith("bot: I am. Yes.")
    assert size(made, {"text": kept}) <= ROOM
    one = "human: hello. Are you there?\nbot: " + "I am fine! " * 40
    assert cut(made, {"text": one})["text"].endswith("fine!")


@pytest.mark.parametrize(
    "text", ["one sentence without an end " * 40, "<|im_start|>user\nWhat? Why? <|im_end|>\n" * 20, "fits."]
)
def test_what_cannot_be_cut_well_stays_as_it_is(model: Path, text: str) -> None:
    assert cut(cutting(model, {"text": "text"}), {"text": text}) == {}


class Counting(FileTokenizer):
    """Counts the characters that it is asked to tokenise."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.characters = 0

    def __call__(self, text: str, **options: Any) -> dict[str, Any]:
        self.characters += len(text)
        return super().__call__(text, **options)


def test_thousands_of_sentences_are_tokenised_a_few_times_only(model: Path) -> None:
    made = cutting(model, {"text": "text"})
    made.tokenizer = Counting(model)
    text = "I am fine! " * 20_000
    assert cut(made, {"text": text})["text"].endswith("fine!")
    assert made.tokenizer.characters < 4 * len(text)


def shorten_first(row: Mapping[str, object]) -> Mapping[str, Written]:
    return {"q": Written("cut", "cut short")} if row["q"] == "long" else {}


def test_the_fix_cuts_rows_by_the_files_own_columns_though_they_are_renamed(tmp_path: Path) -> None:
    rows: Sequence[Mapping[str, str]] = [{"q": "long", "a": "b"}, {"q": "c", "a": "d"}]
    path, out = write_jsonl(tmp_path / "a.jsonl", rows), tmp_path / "b.jsonl"
    changes = apply(path, out, ["rename_columns", "cut_over_long"], {"prompt": "q", "text": "a"}, {}, shorten_first)
    assert read_jsonl(out) == [{"prompt": "cut", "text": "b"}, {"prompt": "c", "text": "d"}]
    assert "Line 1: `q` was cut short." in [change.words() for change in changes]
    assert check(out).rows == 2
