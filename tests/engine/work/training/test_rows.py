"""What of a row is learned, where an answer begins, and what is cut."""

from pathlib import Path
from typing import Any

import pytest

from engine.data import encoding
from engine.data.encoding import PLAIN
from engine.work.training import weights
from tests.mini import CHATML, make_causal, make_masked

pytestmark = pytest.mark.filterwarnings("ignore")  # of the training libraries, about their own next versions
TALK = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "nice to meet you"},
    {"role": "user", "content": "bye"},
    {"role": "assistant", "content": "see you"},
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(make_causal(tmp_path_factory.mktemp("model"), ["hello nice to meet you"] * 5))


def learned(tokenizer: Any, row: dict[str, Any]) -> str:
    return str(tokenizer.decode([label for label in row["labels"] if label != encoding.IGNORED]))


def test_only_what_the_assistant_says_is_learned_with_its_end(tokenizer: Any) -> None:
    row = encoding.text_row(tokenizer, {"messages": TALK, "row": 1}, 512)
    assert row is not None
    assert learned(tokenizer, row) == "nice to meet you<|im_end|>see you<|im_end|>"
    rendered = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert tokenizer.decode(row["input_ids"]) == rendered


def test_a_plain_text_is_learned_wholly_and_ends(tokenizer: Any) -> None:
    row = encoding.text_row(tokenizer, {"text": "hello", "row": 1}, 512)
    assert row is not None
    assert learned(tokenizer, row) == "hello<|im_end|>"
    assert tokenizer.pad_token_id not in row["labels"]


def test_a_template_without_an_end_gets_one(tokenizer: Any) -> None:
    template = tokenizer.chat_template
    tokenizer.chat_template = PLAIN
    row = encoding.text_row(tokenizer, {"messages": TALK[:2], "row": 1}, 512)
    tokenizer.chat_template = template
    assert row is not None
    assert learned(tokenizer, row) == " nice to meet you<|im_end|>"


def test_a_template_that_rewrites_earlier_turns_lets_all_be_learned(tokenizer: Any) -> None:
    template = tokenizer.chat_template
    tokenizer.chat_template = "{{ messages | length }}" + CHATML
    row = encoding.text_row(tokenizer, {"messages": TALK, "row": 1}, 512)
    tokenizer.chat_template = template
    assert row is not None
    assert encoding.IGNORED not in row["labels"]


def test_a_row_whose_answer_lies_beyond_the_limit_is_dropped(tokenizer: Any) -> None:
    assert encoding.text_row(tokenizer, {"messages": TALK, "row": 1}, 8) is None


def test_a_pair_is_joined_at_a_token_boundary(tokenizer: Any) -> None:
    pair = encoding.pair_row(tokenizer, {"prompt": "hel", "chosen": "lo", "rejected": "p", "row": 3}, 512)
    assert pair is not None
    assert tokenizer.decode(pair["prompt_ids"]) == "hel"
    assert tokenizer.decode(pair["chosen_ids"]) == "lo<|im_end|>"
    assert pair["row"] == 3


def test_a_conversational_pair_asks_as_the_template_does(tokenizer: Any) -> None:
    pair = encoding.pair_row(tokenizer, {"prompt": TALK[:1], "chosen": TALK[1:2], "rejected": TALK[3:], "row": 1}, 512)
    assert pair is not None
    assert tokenizer.decode(pair["prompt_ids"]) == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(pair["rejected_ids"]) == "see you<|im_end|>"


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected", "expected"),
    [(100, 1000, 300, (100, 924, 301)), (100, 1100, 60, (100, 924, 61)), (900, 200, 200, (823, 201, 201))],
)
def test_a_long_pair_keeps_both_answers_and_fits(
    tokenizer: Any, prompt: int, chosen: int, rejected: int, expected: tuple[int, int, int]
) -> None:
    """TRL's ORPO cuts these to 24 and 24, to nothing, and not at all."""
    row = {"prompt": "1" * prompt, "chosen": "2" * chosen, "rejected": "3" * rejected, "row": 1}
    pair = encoding.pair_row(tokenizer, row, 1024)
    assert pair is not None
    assert tuple(len(pair[name]) for name in ("prompt_ids", "chosen_ids", "rejected_ids")) == expected
    assert pair["is_cut"]


def test_a_pair_with_the_same_answers_teaches_nothing(tokenizer: Any) -> None:
    assert encoding.pair_row(tokenizer, {"prompt": "a", "chosen": "b", "rejected": "b", "row": 1}, 64) is None
    assert encoding.reward_row(tokenizer, {"chosen": "b", "rejected": "b", "row": 1}, 64) is None


def test_a_long_text_becomes_several_rows_and_loses_nothing(tokenizer: Any) -> None:
    pieces = encoding.whole_rows(tokenizer, {"text": "1" * 100, "row": 7}, 30)
    assert "".join(tokenizer.decode(piece["input_ids"]) for piece in pieces) == "1" * 100 + "<|im_end|>"
    assert {piece["row"] for piece in pieces} == {7}
    assert max(len(piece["input_ids"]) for piece in pieces) == 30


def test_a_long_text_for_an_encoder_becomes_several_whole_rows(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_masked(tmp_path, ["hello"]))
    pieces = encoding.masked_rows(tokenizer, {"text": "1" * 100, "row": 1}, 30)
    assert all(piece["input_ids"][0] == 2 and piece["input_ids"][-1] == 3 for piece in pieces)
    assert sum(len(piece["input_ids"]) - 2 for piece in pieces) == 100


def test_pad_is_never_eos(tokenizer: Any) -> None:
    kept = tokenizer.pad_token
    tokenizer.pad_token = tokenizer.eos_token
    weights.choose_pad(tokenizer)
    assert tokenizer.pad_token == "<|endoftext|>"
    tokenizer.pad_token = kept
