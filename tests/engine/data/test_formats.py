"""The formats that people bring: each is named, mapped, and becomes the trainer's rows."""

import json
from pathlib import Path

import pytest

from engine.data.checks import check
from engine.data.trainer_rows import read_source, trainer_row
from engine.jobs import Source
from tests.engine.data.tables import write_csv, write_jsonl

USER, BOT = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
WORSE, SYSTEM = {"role": "assistant", "content": "c"}, {"role": "system", "content": "s"}
HUMAN, GPT = {"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}
WORSE_GPT = {"from": "gpt", "value": "c"}
PAIR: dict[str, object] = {"prompt": [USER], "chosen": [BOT], "rejected": [WORSE]}
CASES: dict[str, tuple[str, dict[str, object], str, dict[str, object]]] = {
    "chat": ("OpenAI chat", {"messages": [SYSTEM, USER, BOT]}, "sft", {"messages": [SYSTEM, USER, BOT]}),
    "sharegpt": (
        "ShareGPT",
        {"conversations": [HUMAN, GPT], "system": "s", "tools": ""},
        "sft",
        {"messages": [SYSTEM, USER, BOT]},
    ),
    "openai preferences": (
        "OpenAI preferences",
        {
            "input": {"tools": [], "messages": [USER], "parallel_tool_calls": True},
            "preferred_output": [BOT],
            "non_preferred_output": [WORSE],
        },
        "dpo",
        PAIR,
    ),
    "sharegpt preferences": (
        "ShareGPT preferences",
        {"conversations": [HUMAN], "chosen": GPT, "rejected": WORSE_GPT},
        "orpo",
        PAIR,
    ),
    "alpaca": (
        "Alpaca",
        {"instruction": "a", "input": "", "output": "b", "system": "s"},
        "sft",
        {"messages": [SYSTEM, USER, BOT]},
    ),
    "trl preference": ("TRL preference", {"prompt": "a", "chosen": "b", "rejected": "c"}, "dpo", PAIR),
    "trl completion": ("TRL prompt-completion", {"prompt": "a", "completion": "b"}, "sft", {"messages": [USER, BOT]}),
    "trl lists": ("TRL prompt-completion", {"prompt": [USER], "completion": [BOT]}, "sft", {"messages": [USER, BOT]}),
    "autotrain": ("AutoTrain", {"prompt": "a", "text": "b", "rejected_text": "c"}, "dpo", PAIR),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("as_csv", [False, True])
def test_a_format_is_named_and_becomes_the_trainers_rows(name: str, as_csv: bool, tmp_path: Path) -> None:
    layout, row, method, made = CASES[name]
    arrow = tmp_path / "rows.arrow"
    flat = {key: value if isinstance(value, str) else json.dumps(value) for key, value in row.items()}
    path = write_csv(tmp_path / "a", [flat]) if as_csv else write_jsonl(tmp_path / "a", [row])
    report = check(path, method=method, arrow=arrow)
    assert report.stats["layout"] == layout
    fit = report.methods[method]
    assert fit.usable, report.issues
    source = Source("a", report.sha256, fit.mapping)
    assert [trainer_row(each, method, source, True) for each in read_source(arrow)] == [made]


def test_a_system_prompt_stands_before_a_plain_pair(tmp_path: Path) -> None:
    way = {"prompt": "prompt", "text": "completion", "system": "system"}
    row = {"prompt": "a", "completion": "b", "system": "s"}
    assert trainer_row(row, "sft", Source("a", "", way), False) == {"text": "s\n\na\nb"}
    assert trainer_row({**row, "system": ""}, "sft", Source("a", "", way), False) == {"text": "a\nb"}
    ways = {**way, "text": "chosen", "rejected_text": "rejected"}
    pair = {"prompt": "a", "chosen": "b", "rejected": "c", "system": "s"}
    assert trainer_row(pair, "dpo", Source("a", "", ways), True)["prompt"] == [SYSTEM, USER]
    assert trainer_row(pair, "reward", Source("a", "", ways), True)["chosen"] == [SYSTEM, USER, BOT]


@pytest.mark.parametrize("text", ['[{"role": "user", "content": "a"}]', '[{"a": 1}]', '{"a": 1}'])
def test_json_in_a_text_column_stays_text(text: str) -> None:
    assert trainer_row({"text": text}, "sft", Source("a", "", {"text": "text"}), True) == {"text": text}
    way = {"prompt": "prompt", "text": "text"}
    made = trainer_row({"prompt": "a", "text": text}, "sft", Source("a", "", way), True)
    assert made == {"messages": [USER, {"role": "assistant", "content": text}]}


def test_an_answer_that_is_json_but_no_conversation_stays_text(tmp_path: Path) -> None:
    row = {"prompt": "a", "completion": '[{"a": 1}]'}
    made = trainer_row(row, "sft", Source("a", "", {"prompt": "prompt", "text": "completion"}), True)
    assert made == {"messages": [USER, {"role": "assistant", "content": '[{"a": 1}]'}]}


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("<|im_start|>user\\nhi<|im_end|>", "ChatML"),
        ("<s>[INST] hi [/INST] yo</s>", "Llama 2 and Mistral"),
        ("<|start_header_id|>user<|end_header_id|>hi", "Llama 3"),
        ("<start_of_turn>user hi<end_of_turn>", "Gemma"),
        ("<|user|> hi <|assistant|> yo", "Zephyr and Phi"),
    ],
)
def test_text_that_went_through_a_template_is_recognised(text: str, template: str, tmp_path: Path) -> None:
    report = check(write_csv(tmp_path / "a.csv", [{"text": text}, {"text": "plain"}]))
    assert report.stats["templated"] == {template: 1} and report.methods["sft"].usable
    assert any("1 of 2 rows" in issue.message and template in issue.message for issue in report.issues)
