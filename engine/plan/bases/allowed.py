"""The operator's list of base models (ALLOWED_MODELS): ids, or patterns such as `Qwen/*`; an empty list allows all."""

from fnmatch import fnmatchcase

from engine.plan.models import find
from engine.refusal import Refusal

MOST_NAMED = 6


def patterns(words: str) -> tuple[str, ...]:
    """The patterns of a setting, with commas between them."""
    return tuple(word.strip() for word in words.split(",") if word.strip())


def is_allowed(model: str, allowed: tuple[str, ...]) -> bool:
    """Whether a run may begin with the model, by its id; those that come with threadtune always may."""
    offer = find(model.partition("@")[0])
    name = offer.id if offer else model.partition("@")[0]
    ours = name.startswith("embedded/")
    return ours or not allowed or any(fnmatchcase(name.lower(), pattern.lower()) for pattern in allowed)


def check_allowed(model: str, allowed: tuple[str, ...]) -> None:
    """Raises Refusal that names what is allowed."""
    if is_allowed(model, allowed):
        return
    more = f" and {len(allowed) - MOST_NAMED} more" if len(allowed) > MOST_NAMED else ""
    raise Refusal(
        f"{model} is none of the base models that are allowed here: take one of {', '.join(allowed[:MOST_NAMED])}"
        f"{more}, or ask whoever runs this bot to add it to ALLOWED_MODELS.",
        "model",
    )
