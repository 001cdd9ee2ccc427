"""What a look at the setup finds: one sentence each, which says what is wrong and what to do.

A platform's own looks stand in its adapter, `adapters/chat/<name>/setup/doctor.py` with
`async examine(team_channel) -> list[Finding]`, and are found by the name in CHAT.
"""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import aiohttp

MOST_SKEW_S = 60.0
TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True)
class Finding:
    """`state` is `well`, `note` (works, but not as somebody may think) or `wrong` (the bot does not serve so)."""

    what: str
    state: str
    text: str


def well(what: str, text: str) -> Finding:
    return Finding(what, "well", text)


def note(what: str, text: str) -> Finding:
    return Finding(what, "note", text)


def wrong(what: str, text: str) -> Finding:
    return Finding(what, "wrong", text)


async def clock(address: str, now: float | None = None) -> list[Finding]:
    """Compares this machine's clock with that of a server; none where it does not answer or gives no time."""
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.head(address) as answer:
            there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (TimeoutError, aiohttp.ClientError, OSError, KeyError, ValueError):
        return []
    skew = (time.time() if now is None else now) - there
    if abs(skew) <= MOST_SKEW_S:
        return [well("clock", "This machine's clock is right.")]
    how = "ahead" if skew > 0 else "behind"
    return [
        wrong(
            "clock",
            f"This machine's clock is {abs(skew):.0f} s {how}, so signatures and schedules fail: "
            "switch on time synchronisation, as in `timedatectl set-ntp true`.",
        )
    ]
