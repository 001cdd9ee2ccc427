"""The base models on offer as they are read: in a terminal, as JSON, and as rows of a table in a chat."""

import json
from dataclasses import asdict

from engine.plan.bases.choosing import slot_gb
from engine.plan.gates import WANTS
from engine.plan.models import MODELS, Offer
from engine.plan.parameters import EVERY

COLUMNS = ("Model", "Size", "Licence", "GPU memory by method", "For whom")


def slots(offer: Offer) -> dict[str, float]:
    """For each method that can be trained on it, the GPU memory in GB that a lora needs, with room to spare; for mlm,
    which trains small encoders whole, that of all weights."""
    fitting = (method for method in EVERY if WANTS.get(method, "causal") == offer.kind)
    return {method: round(slot_gb(offer, method, lora=method != "mlm"), 1) for method in fitting}


def table(as_json: bool) -> str:
    """The models on offer: as JSON `{"models": [...]}`, or as lines for people."""
    if as_json:
        told = [{**asdict(offer), "is_embedded": offer.is_embedded, "slots_gb": slots(offer)} for offer in MODELS]
        return json.dumps({"models": told}, ensure_ascii=False)
    return "\n".join(line(offer) for offer in MODELS)


def line(offer: Offer) -> str:
    name, size, licence, memory, whom = row(offer)
    return f"{name:42} {offer.kind:7} {size:>5}  {licence:18} {memory}\n    {whom}"


def row(offer: Offer) -> tuple[str, ...]:
    """A cell for each of COLUMNS."""
    size = f"{offer.parameters / 1e9:.1f}B" if offer.parameters >= 1e9 else f"{offer.parameters / 1e6:.0f}M"
    gate = ", gated: ask its makers first" if offer.is_gated else ""
    return offer.id, size, f"{offer.licence}{gate}", memory(offer), offer.whom


def memory(offer: Offer) -> str:
    """`sft, clm 11 GB; dpo, orpo 14 GB`: the methods that need as much stand together."""
    by_size: dict[int, list[str]] = {}
    for method, size in slots(offer).items():
        by_size.setdefault(round(size), []).append(method)
    return "; ".join(f"{', '.join(methods)} {size} GB" for size, methods in sorted(by_size.items()))
