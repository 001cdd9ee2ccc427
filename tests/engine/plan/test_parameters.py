"""The table of parameters, and what people write in its words."""

import pytest

from engine.data.types import NEEDS
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
        ("xyzzy=1", "xyzzy", "there are epochs, max_steps"),
        ("epochs=0", "epochs", "0.01 to 1000"),
        ("epochs=many", "epochs", "0.01 to 1000"),
        ("batch_size=2.5", "batch_size", "1 to 1024"),
        ("lr=nan", "learning_rate", "1e-09 to 1"),
        ("lr=inf", "learning_rate", "1e-09 to 1"),
        ("lora=maybe", "lora", "on or off"),
        ("scheduler=cosinus", "scheduler", "Did you mean cosine?"),
        ("valid=ten", "valid", "a share such as 10%"),
        ("beta=0.2", "beta", "dpo, orpo"),
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
