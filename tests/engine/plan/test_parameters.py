"""The table of parameters, and what people write in its words."""

from pathlib import Path

import pytest

from engine.data.types import NEEDS
from engine.plan.decided import DECIDED, ELSEWHERE, TURNED
from engine.plan.listed import markdown
from engine.plan.parameters import ALIASES, BY_NAME, TABLE, Parameter, complete, parse, read, table_for
from engine.refusal import Refusal


def test_words_become_typed_values() -> None:
    words = ["lr=1e-3", "epochs=2", "lora=off", "scheduler=cosine", "valid=10%", "batch_size=8"]
    expected = {
        "learning_rate": 1e-3,
        "epochs": 2,
        "lora": False,
        "scheduler": "cosine",
        "valid": "10%",
        "batch_size": 8,
    }
    assert parse(words, "sft") == expected


def test_a_mapping_is_read_as_a_yaml_file_gives_it() -> None:
    assert parse({"lr": 3e-5, "block_size": 512, "peft": True, "chat_template": "tokenizer"}, "sft") == {
        "learning_rate": 3e-5,
        "max_length": 512,
        "lora": True,
        "template": "auto",
    }


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_means_its_parameter(alias: str) -> None:
    parameter = BY_NAME[ALIASES[alias]]
    method = parameter.methods[0]
    text = "off" if parameter.kind == "switch" else str(parameter.default_for(method))
    assert parameter.name in parse([f"{alias}={text}"], method)


@pytest.mark.parametrize(
    ("word", "field", "said"),
    [
        ("epoch=3", "epoch", "did you mean `epochs`"),
        ("learning_rte=1", "learning_rte", "did you mean `learning_rate`"),
        ("xyzzy=1", "xyzzy", "there are epochs, "),
        ("epochs=0", "epochs", "0.01 to 1000"),
        ("epochs=many", "epochs", "0.01 to 1000"),
        ("batch_size=2.5", "batch_size", "1 to 1,024"),
        ("lr=nan", "learning_rate", "1e-09 to 1"),
        ("lr=inf", "learning_rate", "1e-09 to 1"),
        ("lora=maybe", "lora", "on or off"),
        ("scheduler=cosinus", "scheduler", "Did you mean cosine?"),
        ("valid=ten", "valid", "a share such as 10%"),
        ("beta=0.2", "beta", "dpo, orpo"),
        ("padding=left", "padding", "cannot be set: on the right in training"),
        ("project_name=x", "project_name", "said otherwise here: `repo=name`"),
        ("target_modules=q proj", "target_modules", "all-linear, or names"),
        ("epochs", "epochs", "name=value"),
        ("epochs=", "epochs", "name=value"),
    ],
)
def test_a_wrong_word_is_refused_at_its_field_with_what_is_right(word: str, field: str, said: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse([word], "sft")
    assert refusal.value.field == field
    assert said in refusal.value.text


def test_the_same_parameter_twice_is_refused() -> None:
    with pytest.raises(Refusal, match="twice"):
        parse(["lr=1e-3", "learning_rate=1e-4"], "sft")


@pytest.mark.parametrize("parameter", TABLE, ids=lambda parameter: parameter.name)
def test_every_default_is_allowed_by_its_own_row(parameter: Parameter) -> None:
    for method in parameter.methods:
        default = parameter.default_for(method)
        assert read(parameter, default) == default
        assert parameter.sentence.endswith(".")


@pytest.mark.parametrize("method", NEEDS)
def test_a_completed_set_has_every_parameter_of_the_method(method: str) -> None:
    completed = complete(method, {"epochs": 7})
    assert completed["epochs"] == 7
    assert completed.keys() == {parameter.name for parameter in table_for(method)}
    assert ("beta" in completed) == (method in ("dpo", "orpo", "kto"))


AUTOTRAIN = """
model project_name data_path train_split valid_split add_eos_token block_size model_max_length padding trainer
use_flash_attention_2 log disable_gradient_checkpointing logging_steps eval_strategy save_total_limit
auto_find_batch_size mixed_precision lr epochs batch_size warmup_ratio gradient_accumulation optimizer scheduler
weight_decay max_grad_norm seed chat_template quantization target_modules merge_adapter peft lora_r lora_alpha
lora_dropout model_ref dpo_beta max_prompt_length max_completion_length prompt_text_column text_column
rejected_text_column push_to_hub username token unsloth distributed_backend
"""
"""Every parameter of AutoTrain's LLM trainers."""


@pytest.mark.parametrize("name", AUTOTRAIN.split())
def test_every_parameter_of_autotrain_is_known(name: str) -> None:
    assert name in {*BY_NAME, *ALIASES, *DECIDED, *ELSEWHERE, *TURNED}


def test_a_switch_of_the_opposite_is_turned() -> None:
    assert parse({"disable_gradient_checkpointing": True}, "sft") == {"gradient_checkpointing": False}


def test_the_page_of_parameters_is_made_from_the_table() -> None:
    page = Path(__file__).parents[3] / "docs" / "parameters.md"
    assert page.read_text() == markdown(), "python -m engine params --markdown > docs/parameters.md"
