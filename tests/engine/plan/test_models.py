"""Base models on offer, and what their licences ask of people."""

import pytest

from engine.plan.models import MODELS, find, licence_note, nearest


@pytest.mark.parametrize("licence", ["apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0"])
def test_a_free_licence_needs_no_word(licence: str) -> None:
    assert licence_note("org/base", licence) == ""


@pytest.mark.parametrize(
    ("licence", "says"),
    [
        ("llama3.2", "must be named Llama"),
        ("gemma", "terms of use"),
        ("creativeml-openrail-m", "rules of use"),
        ("bigscience-bloom-rail-1.0", "rules of use"),
        ("cc-by-nc-4.0", "no commercial use"),
        ("cc-by-nc-nd-4.0", "no commercial use"),
        ("fair-noncommercial-research-license", "no commercial use"),
        ("cc-by-nd-4.0", "no changed versions"),
        ("agpl-3.0", "same licence"),
        ("other", "read it"),
        ("", "states no licence"),
        ("unknown", "states no licence"),
    ],
)
def test_a_licence_that_binds_says_how(licence: str, says: str) -> None:
    note = licence_note("org/base", licence)
    assert "org/base" in note and says in note


def test_a_model_on_offer_is_found_by_either_part_of_its_name_and_near_misses_by_likeness() -> None:
    for offer in MODELS:
        assert find(offer.id.upper()) == find(offer.id.split("/")[1]) == offer
    assert nearest("smollm2-135m-instruct") == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert nearest("bananas") == ""
