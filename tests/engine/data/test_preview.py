"""The preview shows exactly what the training takes: text for text and row for row."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.data import encoding
from engine.data.checks import check
from engine.data.preview import preview
from engine.data.preview.fate import fate_of
from engine.data.preview.plan import Plan
from engine.data.preview.samples import REJECTED
from engine.data.preview.tokens import FileTokenizer
from engine.data.trainer_rows import trainer_row
from engine.data.types import Estimate, Preview, Row, Setting
from engine.jobs import Source, Value
from engine.plan.models import Look
from engine.refusal import Refusal
from tests.engine.data.tables import DPO, TABLES, write_jsonl
from tests.mini import make_causal, make_masked

TEXTS = [str(value) for rows in TABLES.values() for row in rows for value in row.values()]
LONG = {"prompt": "why " * 30, "text": "because " * 40, "rejected_text": "no " * 50}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "chat": make_causal(folder / "chat", TEXTS),
        "plain": make_causal(folder / "plain", TEXTS, has_template=False),
        "masked": make_masked(folder / "masked", TEXTS),
    }


def look_at(folder: Path) -> Look:
    has_template = "chat_template" in json.loads((folder / "tokenizer_config.json").read_text())
    kind = "masked" if folder.name == "masked" else "causal"
    return Look(folder.name, "a" * 40, folder, kind, 100_000, 64, 2, 800, 512, has_template)


def show(folder: Path, rows: object, method: str, model: Path, **given: Value) -> Preview:
    path = write_jsonl(folder / "a.jsonl", rows)  # type: ignore[arg-type]  # rows of any kind
    report = check(path, method=method, arrow=folder / "a.arrow")
    source = Source("a.jsonl", report.sha256, report.methods[method].mapping)
    settings = {name: Setting(value) for name, value in {"max_length": 64, **given}.items()}

    def settle(rows: int, median: int) -> Mapping[str, Setting]:
        return {**settings, "rows": Setting(rows), "median": Setting(median)}

    def estimate(_settings: Mapping[str, Setting], rows: int, tokens: int) -> Estimate:
        return Estimate(rows, tokens, 1.0)

    return preview(folder / "a.arrow", report, source, method, look_at(model), given, settle, estimate)


def trained_on(folder: Path, row: Row, method: str, shown: Preview, **given: Value) -> list[str]:
    """What the training makes of the row with transformers' tokenizer: the decoded text, or two for a pair."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = tokenizer.chat_template or encoding.CHATML
    source = Source("a.jsonl", "", shown.mapping, bool(given.get("unescape")), shown.as_conversation)
    made = {**trainer_row(row, method, source, has_template=shown.as_conversation), "row": 1}
    length = int(given.get("max_length", 64))
    if method == "clm":
        ids = encoding.whole_rows(tokenizer, made, length)[0]["input_ids"]
        return [tokenizer.decode(ids)]
    if method == "mlm":
        return [tokenizer.decode(encoding.masked_rows(tokenizer, made, length)[0]["input_ids"])]
    encode: Any = {"sft": encoding.text_row, "reward": encoding.reward_row}.get(method, encoding.pair_row)
    encoded = encode(tokenizer, made, length)
    if method == "sft":
        return [tokenizer.decode(encoded["input_ids"])]
    prompt = encoded.get("prompt_ids", [])
    return [tokenizer.decode(prompt + encoded[f"{side}_ids"]) for side in ("chosen", "rejected")]


@pytest.mark.slow
@pytest.mark.parametrize("model", ["chat", "plain"])
@pytest.mark.parametrize("method", ["sft", "clm", "reward", "dpo", "orpo"])
def test_the_text_shown_is_the_text_trained_on(
    method: str, model: str, models: Mapping[str, Path], tmp_path: Path
) -> None:
    shown = show(tmp_path, TABLES[method], method, models[model])
    for sample in shown.samples:
        row = TABLES[method][sample.row - 1]
        assert sample.text.split(REJECTED) == trained_on(models[model], row, method, shown)


@pytest.mark.slow
def test_the_text_shown_for_an_encoder_is_the_text_trained_on(models: Mapping[str, Path], tmp_path: Path) -> None:
    shown = show(tmp_path, TABLES["mlm"], "mlm", models["masked"])
    for sample in shown.samples:
        decoded = trained_on(models["masked"], TABLES["mlm"][sample.row - 1], "mlm", shown)
        assert [sample.text] == decoded


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sft", "reward", "dpo"])
def test_a_row_that_is_cut_is_shown_cut(method: str, models: Mapping[str, Path], tmp_path: Path) -> None:
    row = {**LONG, "prompt": "why"} if method == "sft" else LONG
    shown = show(tmp_path, [row], method, models["chat"])
    assert shown.rows_truncated == 1
    assert shown.samples[0].text.split(REJECTED) == trained_on(models["chat"], row, method, shown)


@pytest.mark.slow
def test_trls_own_trainer_reads_a_plain_text_alike(models: Mapping[str, Path], tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    shown = show(tmp_path, TABLES["sft"], "sft", models["plain"])
    tokenizer = AutoTokenizer.from_pretrained(models["plain"])
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(models["plain"]),
        args=SFTConfig(
            output_dir=str(tmp_path / "out"), bf16=False, max_length=64, report_to=[], gradient_checkpointing=None
        ),
        train_dataset=Dataset.from_list([dict(row) for row in TABLES["sft"]]),
        processing_class=tokenizer,
    )
    assert tokenizer.decode(trainer.train_dataset[0]["input_ids"]) == shown.samples[0].text


def test_what_is_learned_is_marked(models: Mapping[str, Path], tmp_path: Path) -> None:
    chat = show(tmp_path, TABLES["sft"], "sft", models["chat"]).samples[0]
    assert [chat.text[start:end] for start, end in chat.trained] == ["hi nice to meet you<|im_end|>"]
    pair = show(tmp_path, DPO, "dpo", models["plain"]).samples[0]
    learned = [pair.text[start:end] for start, end in pair.trained]
    assert learned == ["hi nice to meet you<|im_end|>", "leave me alone<|im_end|>"]


def test_both_readings_are_shown(models: Mapping[str, Path], tmp_path: Path) -> None:
    turns = show(tmp_path, TABLES["sft"], "sft", models["chat"])
    assert turns.as_conversation and turns.alternative == "human: hello \\n bot: hi nice to meet you<|im_end|>"
    plain = show(tmp_path, TABLES["sft"], "sft", models["chat"], template="none")
    assert not plain.as_conversation and plain.alternative == turns.samples[0].text
    pairs = show(tmp_path, DPO, "dpo", models["chat"], template="none")
    assert not pairs.as_conversation and pairs.samples[0].text.startswith("hello\nhi nice")
    assert "a line break between them" in pairs.join


def test_turns_stay_text_where_the_model_has_no_template(models: Mapping[str, Path], tmp_path: Path) -> None:
    shown = show(tmp_path, TABLES["sft"], "sft", models["plain"])
    assert not shown.as_conversation and shown.alternative == ""


def test_a_literal_line_break_is_shown_before_and_after(models: Mapping[str, Path], tmp_path: Path) -> None:
    shown = show(tmp_path, TABLES["clm"], "clm", models["chat"])
    assert shown.unescape == (TABLES["clm"][0]["text"], TABLES["clm"][0]["text"].replace("\\n", "\n"))
    mended = show(tmp_path, TABLES["clm"], "clm", models["chat"], unescape=True)
    assert mended.samples[0].text == "human: hello \n bot: hi nice to meet you<|im_end|>"


def test_rows_are_counted_as_the_training_will_take_them(models: Mapping[str, Path], tmp_path: Path) -> None:
    unlearnable = {**LONG, "text": "word " * 100 + "a", "rejected_text": "word " * 100 + "b"}
    shown = show(tmp_path, [*DPO, LONG, unlearnable], "dpo", models["plain"])
    assert (shown.rows_used, shown.rows_truncated, shown.rows_dropped) == (8, 1, 1)
    assert shown.tokens["max"] > 128 and shown.tokens["total"] == shown.estimate.seconds


def test_what_is_held_out_is_neither_trained_nor_estimated(models: Mapping[str, Path], tmp_path: Path) -> None:
    rows = [{"text": f"text number {number}"} for number in range(50)]
    shown = show(tmp_path, rows, "clm", models["chat"])
    assert shown.rows_held_out == 5 and shown.histogram == {"32": 50}
    assert shown.parameters["rows"].value == shown.estimate.steps == 45


def test_tokens_of_many_rows_are_told_from_some(models: Mapping[str, Path]) -> None:
    rows = [{"text": "hi nice to meet you " * (1 + number % 7)} for number in range(6_000)]
    tokenizer = FileTokenizer(models["chat"])
    plan = Plan("clm", Source("a", "", {"text": "text"}), {}, False)
    told = fate_of(rows, plan, tokenizer, 512).tokens
    exact = sum(len(tokenizer(row["text"])["input_ids"]) + 1 for row in rows)
    assert told["total"] == pytest.approx(exact, rel=0.05)
    assert told["sampled"] == 500
    assert "sampled" not in fate_of(rows[:600], plan, tokenizer, 512).tokens
    assert fate_of(rows[:600], plan, tokenizer, 512, is_quick=True).tokens["sampled"] == 500


def test_pairs_of_many_rows_are_cut_by_their_longer_text(models: Mapping[str, Path]) -> None:
    short = {"prompt": "why " * 10, "text": "so " * 10, "rejected_text": "no " * 10}
    rows = [LONG if number % 10 == 0 else short for number in range(6_000)]
    way = {"prompt": "prompt", "text": "text", "rejected_text": "rejected_text"}
    plan = Plan("dpo", Source("a", "", way), {}, False)
    tokenizer = FileTokenizer(models["plain"])
    assert fate_of(rows, plan, tokenizer, 100).cut == 600
    assert fate_of(rows[:100], plan, tokenizer, 100).cut == 10


def test_a_template_that_refuses_a_conversation_says_so(models: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((models["chat"] / name).read_bytes())
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no system turn, please') }}")
    with pytest.raises(Refusal, match="no system turn, please"):
        show(tmp_path, DPO, "dpo", folder)


def test_a_template_cannot_reach_outside(models: Mapping[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((models["chat"] / name).read_bytes())
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(Refusal):
        show(tmp_path, DPO, "dpo", folder)


TEMPLATES = (
    "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}\n"
    "    {{ m.role }}: {{ m.content | trim }}\n{% endfor %}",
    "{% for m in messages %}{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}"
    "{% else %}{{ m.content | tojson }}{% continue %}{% endif %}\n{% endfor %}",
)


@pytest.mark.slow
@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_rendered_as_transformers_renders_them(
    template: str, models: Mapping[str, Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((models["chat"] / name).read_bytes())
    (tmp_path / "chat_template.jinja").write_text(template)
    messages = [{"role": "user", "content": ' a "ü" <b> '}, {"role": "assistant", "content": "b\n"}]
    theirs = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(messages, tokenize=False)
    assert FileTokenizer(tmp_path).apply_chat_template(messages) == theirs


def test_marks_that_are_read_as_letters_are_said_so(models: Mapping[str, Path], tmp_path: Path) -> None:
    rows = [
        {"prompt": "why", "text": "so", "rejected_text": "no"},
        {"prompt": "a", "text": "b</s>", "rejected_text": "c"},
    ]
    (warning,) = show(tmp_path, rows, "dpo", models["chat"]).warnings
    assert "`</s>` of row 2 as `< /s>`" in warning
    assert show(tmp_path, rows[:1], "dpo", models["chat"]).warnings == ()
    plain = show(tmp_path, [{"text": "b</s>"}], "sft", models["plain"])
    assert plain.warnings == () and "b</s>" in plain.samples[0].text, "formatted already: as it stands"
