"""Which channel a place belongs to, as an operator names it."""

from collections.abc import Collection

from bot.chat import Place


def is_among(place: Place, channels: Collection[str]) -> bool:
    """Whether one of these ids is in the place's own: platforms write a thread as its channel, then the rest."""
    return any(part in channels for part in place.id.split("/") if part)
