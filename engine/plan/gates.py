"""What a base model must be for a method, decided from its Look and its small files."""

import json

from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, Look
from engine.refusal import Refusal

WANTS = {"mlm": "masked"}
"""Every other method wants a causal model."""


def fits(look: Look, method: str) -> None:
    """Raise Refusal, which names what would work, where the model is of the wrong kind for the method."""
    wanted = WANTS.get(method, "causal")
    if look.kind != wanted:
        raise Refusal(mismatch(look, method, wanted), "model")
    if wanted == "masked" and not has_mask(look):
        raise Refusal(f"{look.id} has no mask token, which mlm needs: {DEFAULT_MASKED} has one.", "model")


def mismatch(look: Look, method: str, wanted: str) -> str:
    if wanted == "masked":
        return (
            f"mlm needs a masked language model (an encoder such as BERT), and {look.id} is "
            f"{article(look.kind)}: take model={DEFAULT_MASKED}, or method clm or sft with this one."
        )
    also = ", or method mlm with this one" if look.kind == "masked" else ""
    return (
        f"{method} needs a causal language model, and {look.id} is {article(look.kind)}: "
        f"take model={DEFAULT_CAUSAL}{also}."
    )


def article(kind: str) -> str:
    words = {"causal": "a causal one, which writes text from left to right", "masked": "an encoder"}
    return words.get(kind, f"of another kind ({kind})")


def has_mask(look: Look) -> bool:
    try:
        names = json.loads((look.folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        names = {}
    if names.get("mask_token"):
        return True
    try:
        added = json.loads((look.folder / "tokenizer.json").read_text(encoding="utf-8")).get("added_tokens", [])
    except (OSError, ValueError):
        return False
    return any(token.get("content") in ("[MASK]", "<mask>") for token in added)
