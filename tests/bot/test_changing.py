"""The form behind a draft's Settings button."""

import pytest

from bot.talk.changing import merged
from bot.talk.commands import Plan, parse
from bot.wording import plan as words
from engine.data.types import Setting
from engine.refusal import Refusal


def others(text: str) -> Plan:
    request = parse(f"sft {text}")
    assert isinstance(request, Plan)
    return request


def test_what_was_changed_is_asked_for_and_the_rest_stays_as_it_was_asked() -> None:
    before = Plan("sft", "acme/base", "f", {"text": "answer"}, {"valid": "10%", "epochs": "2"}, "acme/tuned", "pr")
    after = merged(before, {"epochs": "3"}, others("seed=7"))
    assert after.options == {"valid": "10%", "epochs": "3", "seed": "7"}
    assert (after.model, after.file, after.columns, after.repo, after.push) == (
        "acme/base", "f", {"text": "answer"}, "acme/tuned", "pr",
    )  # fmt: skip
    assert merged(before, {}, others("model=acme/other")).model == "acme/other"


def test_a_value_that_cannot_be_names_its_field() -> None:
    with pytest.raises(Refusal) as refused:
        merged(Plan("sft"), {"epochs": "many"}, others(""))
    assert refused.value.field == "epochs"


def test_the_form_is_filled_with_what_the_plan_says() -> None:
    settings = {"epochs": Setting(value=3), "lora": Setting(value=True), "seed": Setting(value=1)}
    fields = list(words._form(settings))
    assert [(field.name, field.value, field.choices) for field in fields] == [
        ("epochs", "3", ()), ("lora", "on", ("on", "off")), ("others", "", ()),
    ]  # fmt: skip
