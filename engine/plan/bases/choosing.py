"""The base model of a run for which nobody named one, and the memory that each one on offer needs for a method."""

from pathlib import Path

from engine.executor import Slot
from engine.plan.bases.allowed import is_allowed
from engine.plan.combinations import LEAST_BATCH
from engine.plan.defaults import MARGIN
from engine.plan.estimate import GB, memory_bytes
from engine.plan.gates import WANTS
from engine.plan.models import DEFAULT_CAUSAL, DEFAULT_MASKED, FREE, MODELS, Look, Offer
from engine.plan.parameters import complete

USUAL_LENGTH = 1024
ANY_GPU = Slot("gpu", 1, 0.0)


def slot_gb(offer: Offer, method: str, *, lora: bool = True) -> float:
    """The memory of a GPU, in GB, on which a run of the method on this model fits with room to spare: the estimate for
    the fewest rows at once, cut at 1,024 tokens, takes 85 % of it."""
    look = Look(
        *(offer.id, "", Path(), offer.kind, offer.parameters, offer.hidden, offer.layers, offer.vocab),
        max_length=USUAL_LENGTH,
        has_chat_template=True,
    )
    given = {"lora": lora, "batch_size": LEAST_BATCH.get(method, 1), "max_length": USUAL_LENGTH}
    return memory_bytes(method, complete(method, given), look, ANY_GPU) / GB / MARGIN


def usual(method: str, slot: Slot, allowed: tuple[str, ...] = ()) -> tuple[str, str]:
    """The id of the base model for that slot, and why: the largest open one on offer that fits with room to spare,
    or without a GPU the one that comes with threadtune."""
    ours = DEFAULT_MASKED if method == "mlm" else DEFAULT_CAUSAL
    if not slot.gpus:
        return (
            ours,
            "No base model was named, and there is no GPU here: it is the small one that comes with threadtune.",
        )
    fitting = [
        offer for offer in MODELS if is_open(offer, method, allowed) and slot_gb(offer, method) <= slot.memory_gb
    ]
    if not fitting:
        return ours, f"No base model was named, and none on offer but the one that comes with threadtune {fits(slot)}."
    best = max(fitting, key=lambda offer: offer.parameters)
    return best.id, f"No base model was named: {best.id} is the largest open one on offer that {fits(slot)}."


def fits(slot: Slot) -> str:
    return f"fits a GPU of {slot.memory_gb:.0f} GB with room to spare"


def is_open(offer: Offer, method: str, allowed: tuple[str, ...]) -> bool:
    """Whether everybody may train this method on it, without asking its makers first."""
    is_free = bool(FREE.fullmatch(offer.licence)) and not offer.is_gated and not offer.is_embedded
    return is_free and offer.kind == WANTS.get(method, "causal") and is_allowed(offer.id, allowed)
