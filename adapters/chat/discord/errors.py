"""Discord's errors → the port's: gone, denied with the permission that is lacking, or try later."""

import contextlib
from collections.abc import Callable, Iterator

import aiohttp
import discord

from bot.chat import Denied, Gone, TryLater

UNKNOWN = (10003, 10004, 10008, 10013)
ARCHIVED, HAS_THREAD, LOCKED, NO_DIRECT_MESSAGES, TOO_MANY_EDITS = 50083, 160004, 160005, 50007, 30046
NO_ACCESS, NO_PERMISSION, TOO_MANY_THREADS = 50001, 50013, 160006
EDIT_S = 20.0
SHORTLY_S = 5.0


@contextlib.contextmanager
def translated(client: discord.Client, channel: int, *needed: str) -> Iterator[None]:
    """`needed` are the permissions, in discord.py's names, that the calls inside take in that channel."""
    try:
        yield
    except discord.RateLimited as limited:
        raise TryLater(limited.retry_after) from None
    except discord.HTTPException as error:
        raise meant(error, lambda: lacking(client, channel, needed)) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise TryLater(SHORTLY_S) from error


def meant(error: discord.HTTPException, lacks: Callable[[], str]) -> Exception:
    if error.code in UNKNOWN:
        return Gone(error.text)
    if error.code == NO_DIRECT_MESSAGES:
        return Denied("direct messages from this server")
    if error.code == LOCKED:
        return Denied("Manage Threads")
    if error.code in (NO_ACCESS, NO_PERMISSION):
        return Denied(lacks())
    if error.code == TOO_MANY_EDITS:
        return TryLater(EDIT_S)
    if error.code == TOO_MANY_THREADS:
        return TryLater(600.0)
    if error.status == 429 or error.status >= 500:
        return TryLater(max(SHORTLY_S, asked_to_wait(error)))
    return Gone(error.text) if error.status == 404 else error


def asked_to_wait(error: discord.HTTPException) -> float:
    """Seconds. discord.py obeys Discord's own limits; those of the proxies before it come as plain errors."""
    try:
        return float(error.response.headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0


def lacking(client: discord.Client, channel: int, needed: tuple[str, ...]) -> str:
    """The first permission that is lacking there, as the server's settings name it; all where it is not known."""
    place = client.get_channel(channel)
    if isinstance(place, discord.abc.GuildChannel | discord.Thread):
        has = place.permissions_for(place.guild.me)
        needed = tuple(name for name in needed if not getattr(has, name))[:1] or needed
    return ", ".join(name.replace("_", " ").title().replace(" In ", " in ") for name in needed)
