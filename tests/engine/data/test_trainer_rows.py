"""A file's row becomes a trainer's row in one place, and what is held out shares no prompt with what is trained on."""

from pathlib import Path

import pyarrow as pa
import pytest

from engine.data.checks import check
from engine.data.held_out import held_out, rows_to_hold_out
from engine.data.trainer_rows import trainer_row, write_trainer_rows
from engine.folder import RunFolder
from engine.jobs import JobSpec, Model, Source, Value
from engine.refusal import Refusal
from tests.engine.data.tables import DPO, REWARD, SFT, TABLES, write_csv, write_jsonl

USER, BOT = {"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi nice to meet you"}
WORSE = {"role": "assistant", "content": "leave me alone"}
DPO_WAY = {"prompt": "prompt", "text": "text", "rejected_text": "rejected_text"}


def source(mapping: dict[str, str], **changes: bool) -> Source:
    return Source("a.csv", "0" * 64, mapping, **changes)


@pytest.mark.parametrize("method", ["sft", "clm", "mlm"])
def test_a_text_stays_a_text(method: str) -> None:
    assert trainer_row(SFT[0], method, source({"text": "text"}), True) == {"text": SFT[0]["text"]}


def test_a_text_with_turns_becomes_a_conversation_where_somebody_wants_it() -> None:
    wanted = source({"text": "text"}, as_conversation=True)
    assert trainer_row(SFT[0], "sft", wanted, True) == {"messages": [USER, BOT]}
    both = source({"text": "text", "rejected_text": "rejected_text"}, as_conversation=True)
    assert trainer_row(REWARD[0], "reward", both, True) == {"chosen": [USER, BOT], "rejected": [USER, WORSE]}


def test_a_text_without_turns_cannot_become_one() -> None:
    with pytest.raises(Refusal, match="train as plain text"):
        trainer_row({"text": "hello"}, "sft", source({"text": "text"}, as_conversation=True), True)


@pytest.mark.parametrize("method", ["dpo", "orpo"])
def test_a_pair_is_a_conversation_with_a_template_and_joined_without(method: str) -> None:
    assert trainer_row(DPO[0], method, source(DPO_WAY), True) == {
        "prompt": [USER],
        "chosen": [BOT],
        "rejected": [WORSE],
    }
    plain = {"prompt": "hello\n", "chosen": "hi nice to meet you", "rejected": "leave me alone"}
    assert trainer_row(DPO[0], method, source(DPO_WAY), False) == plain


@pytest.mark.parametrize(("prompt", "whole"), [("Q:", "Q:\nb"), ("Q: ", "Q: b"), ("Q\n", "Q\nb")])
def test_a_line_break_is_added_only_where_no_white_space_is(prompt: str, whole: str) -> None:
    row = {"question": prompt, "answer": "b"}
    mapping = {"prompt": "question", "text": "answer"}
    assert trainer_row(row, "sft", source(mapping), False) == {"text": whole}


def test_a_reward_pair_has_its_prompt_in_both_answers() -> None:
    assert trainer_row(DPO[0], "reward", source(DPO_WAY), False) == {
        "chosen": "hello\nhi nice to meet you",
        "rejected": "hello\nleave me alone",
    }


def test_alpacas_input_stands_under_its_instruction() -> None:
    way = {"prompt": "instruction", "text": "output", "input": "input"}
    row = {"instruction": "Add.", "input": "1 2", "output": "3"}
    made = trainer_row(row, "sft", source(way), True)
    assert made == {"messages": [{"role": "user", "content": "Add.\n\n1 2"}, {"role": "assistant", "content": "3"}]}
    assert trainer_row({**row, "input": ""}, "sft", source(way), False) == {"text": "Add.\n3"}


def test_compared_conversations_share_their_beginning_as_the_prompt() -> None:
    way = {"text": "chosen", "rejected_text": "rejected"}
    row = {"chosen": [USER, BOT], "rejected": [USER, WORSE]}
    assert trainer_row(row, "dpo", source(way), True) == {"prompt": [USER], "chosen": [BOT], "rejected": [WORSE]}
    assert trainer_row(row, "reward", source(way), True) == row


def test_messages_as_prompt_and_answer_become_one_conversation() -> None:
    row = {"prompt": [USER], "completion": [BOT]}
    way = {"prompt": "prompt", "text": "completion"}
    assert trainer_row(row, "sft", source(way), False) == {"messages": [USER, BOT]}
    pair = {"prompt": [USER], "chosen": [BOT], "rejected": [WORSE]}
    way = {"prompt": "prompt", "text": "chosen", "rejected_text": "rejected"}
    assert trainer_row(pair, "orpo", source(way), False) == pair


def test_backslash_n_is_a_line_break_where_somebody_wants_it() -> None:
    row = {"text": "a \\n b"}
    assert trainer_row(row, "sft", source({"text": "text"}, wants_unescape=True), True) == {"text": "a \n b"}


def a_run(folder: Path, rows: object, method: str, **parameters: Value) -> tuple[RunFolder, JobSpec]:
    run = RunFolder(folder / "run")
    run.data.mkdir(parents=True)
    path = write_jsonl(folder / "a.jsonl", rows)  # type: ignore[arg-type]  # rows of any kind
    report = check(path, arrow=run.source("train"), method=method)
    way = report.methods[method].mapping
    return run, JobSpec(method, Model("x/y"), Source("a.jsonl", report.sha256, way), parameters=parameters)


def rows_in(path: Path) -> list[dict[str, object]]:
    with pa.memory_map(str(path)) as file:
        rows: list[dict[str, object]] = pa.ipc.open_stream(file).read_all().to_pylist()
    return rows


@pytest.mark.parametrize("method", TABLES)
def test_the_tables_of_autotrains_page_reach_the_trainer_whole(method: str, tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, TABLES[method], method)
    assert write_trainer_rows(run, spec, has_template=True) == {"train": len(TABLES[method]), "valid": 0}
    rows = rows_in(run.rows("train"))
    assert [row["row"] for row in rows] == list(range(1, len(rows) + 1))
    assert not run.rows("valid").exists()


def test_datasets_reads_the_files(tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, DPO, "dpo")
    write_trainer_rows(run, spec, has_template=True)
    for path in (run.rows("train"), run.source("train")):
        with pa.memory_map(str(path)) as file:
            assert pa.ipc.open_stream(file).read_all().num_rows == len(DPO)
    kinds = pa.ipc.open_stream(pa.memory_map(str(run.rows("train")))).schema
    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    assert kinds == pa.schema([("prompt", turns), ("chosen", turns), ("rejected", turns), ("row", pa.int64())])


def test_no_prompt_is_on_both_sides(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{number // 3}", "text": f"a{number}", "rejected_text": "no"} for number in range(120)]
    run, spec = a_run(tmp_path, rows, "dpo")
    assert write_trainer_rows(run, spec, has_template=False) == {"train": 108, "valid": 12}
    train, valid = rows_in(run.rows("train")), rows_in(run.rows("valid"))
    assert {str(row["prompt"]) for row in train}.isdisjoint({str(row["prompt"]) for row in valid})
    assert sorted(int(str(row["row"])) for row in train + valid) == list(range(1, 121))


def test_the_same_seed_holds_out_the_same_rows() -> None:
    groups = list(range(100))
    assert held_out(groups, {"seed": 1}) == held_out(groups, {"seed": 1}) != held_out(groups, {"seed": 2})


@pytest.mark.parametrize(
    ("rows", "valid", "held"),
    [(39, "auto", 0), (40, "auto", 4), (500, "auto", 50), (5_000, "auto", 100), (30, "10%", 3), (30, "50", 29),
     (80, "50", 50), (80, "off", 0)],
)  # fmt: skip
def test_how_many_rows_are_held_out(rows: int, valid: str, held: int) -> None:
    assert rows_to_hold_out(rows, valid) == held


def test_a_second_file_is_measured_on(tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, list(DPO) * 10, "dpo")
    second = check(write_csv(tmp_path / "b.csv", DPO[:2]), arrow=run.source("valid"))
    valid = Source("b.csv", second.sha256, second.methods["dpo"].mapping)
    both = JobSpec(spec.method, spec.model, spec.train, valid)
    assert write_trainer_rows(run, both, has_template=True) == {"train": 70, "valid": 2}


def test_a_second_file_with_other_columns_is_refused_and_never_read_as_none(tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, DPO, "dpo")
    check(write_csv(tmp_path / "b.csv", SFT), arrow=run.source("valid"))
    both = JobSpec(spec.method, spec.model, spec.train, spec.train)
    with pytest.raises(Refusal, match="Row 1 has no `prompt`"):
        write_trainer_rows(run, both, has_template=True)


def test_template_none_means_plain_text(tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, DPO, "dpo", template="none")
    write_trainer_rows(run, spec, has_template=True)
    assert rows_in(run.rows("train"))[0]["prompt"] == "hello\n"


def test_a_row_that_cannot_be_read_so_is_named(tmp_path: Path) -> None:
    run, spec = a_run(tmp_path, [*SFT, {"text": "no turns"}], "sft")
    train = Source("a.jsonl", "0" * 64, {"text": "text"}, as_conversation=True)
    with pytest.raises(Refusal, match="Row 5 has no turns"):
        write_trainer_rows(run, JobSpec("sft", spec.model, train), has_template=True)
