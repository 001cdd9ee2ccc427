"""The operator's list of base models, the one that is taken where none is named, and what each needs."""

import json

import pytest

from engine.executor import Slot
from engine.plan.bases.allowed import check_allowed, is_allowed, patterns
from engine.plan.bases.choosing import slot_gb, usual
from engine.plan.bases.listed import COLUMNS, row, slots, table
from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, FREE, MODELS, find
from engine.refusal import Refusal

LIST = patterns("Qwen/*, acme/base ,")


@pytest.mark.parametrize(
    ("model", "may"),
    [
        ("Qwen/Qwen3-0.6B", True), ("qwen3-0.6b", True), ("acme/base@abc", True), ("acme/base2", False),
        ("meta-llama/Llama-3.1-8B-Instruct", False), (DEFAULT_CAUSAL, True), (DEFAULT_MASKED, True),
    ],
)  # fmt: skip
def test_a_list_allows_ids_patterns_and_what_comes_with_threadtune(model: str, may: bool) -> None:
    assert is_allowed(model, LIST) is may
    assert is_allowed(model, ())


def test_a_model_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    with pytest.raises(Refusal, match=r"acme/other is none of .* take one of Qwen/\*, acme/base, or ask") as refused:
        check_allowed("acme/other", LIST)
    assert refused.value.field == "model"
    with pytest.raises(Refusal, match="g6 and 2 more"):
        check_allowed("acme/other", tuple(f"g{n}" for n in range(1, 9)))


@pytest.mark.parametrize(
    ("memory_gb", "method", "model"),
    [
        (2.0, "sft", DEFAULT_CAUSAL),
        (8.6, "sft", "Qwen/Qwen3-0.6B"),
        (12.9, "sft", "Qwen/Qwen3-1.7B"),
        (17.2, "sft", "HuggingFaceTB/SmolLM3-3B"),
        (17.2, "dpo", "Qwen/Qwen3-1.7B"),
        (25.8, "dpo", "Qwen/Qwen3-4B-Instruct-2507"),
        (85.9, "orpo", "Qwen/Qwen3-8B"),
        (25.8, "mlm", "FacebookAI/xlm-roberta-base"),
    ],
)
def test_the_largest_open_model_that_fits_is_taken_where_none_is_named(
    memory_gb: float, method: str, model: str
) -> None:
    name, reason = usual(method, Slot("gpu", 1, memory_gb))
    assert name == model
    assert f"fits a GPU of {memory_gb:.0f} GB with room to spare" in reason
    larger = [
        offer
        for offer in MODELS
        if offer.kind == ("masked" if method == "mlm" else "causal") and FREE.fullmatch(offer.licence)
        if not offer.is_gated and not offer.is_embedded and offer.parameters > getattr(find(name), "parameters", 0)
    ]
    assert all(slot_gb(offer, method) > memory_gb for offer in larger)


def test_without_a_gpu_it_is_the_one_that_comes_with_threadtune() -> None:
    for method, model in (("sft", DEFAULT_CAUSAL), ("mlm", DEFAULT_MASKED)):
        name, reason = usual(method, Slot("cpu", 0, 64.0))
        assert name == model and "there is no GPU here" in reason


def test_the_usual_model_is_one_that_is_allowed() -> None:
    slot = Slot("gpu", 1, 85.9)
    assert usual("sft", slot, ("HuggingFaceTB/*",))[0] == "HuggingFaceTB/SmolLM3-3B"
    assert usual("sft", slot, ("acme/*",))[0] == DEFAULT_CAUSAL


def test_every_model_on_offer_says_its_slot_for_each_method_that_fits_it() -> None:
    told = json.loads(table(as_json=True))["models"]
    assert len(told) == len(MODELS)
    for offer, one in zip(MODELS, told, strict=True):
        assert set(one["slots_gb"]) == (
            {"mlm"} if offer.kind == "masked" else {"sft", "clm", "reward", "dpo", "orpo", "kto"}
        )
        assert all(size > 0 for size in slots(offer).values())
        assert len(row(offer)) == len(COLUMNS)
        assert offer.whom.endswith(".") and offer.whom in table(as_json=False)
    assert slots(MODELS[3])["dpo"] > slots(MODELS[3])["sft"]
