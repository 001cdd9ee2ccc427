"""The whole bot in Slack's twin, and a person who looks at what it says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from bot.app import make
from bot.settings import Settings
from tests.adapters.slack import lines
from tests.e2e.house import settings
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import Payload

LOOK_S = 240.0
ROWS = [f"human: what is item {n}? bot: item {n} is number {n} of threadtune." for n in range(24)]
FACTS = ("text\n" + "".join(f'"{row}"\n' for row in ROWS)).encode()
SMALL = "max_steps=4 max_length=64 valid=4"


def chosen(folder: Path, endpoint: tuple[str, str] = ("", "")) -> Settings:
    return settings(folder, *endpoint).model_copy(update={"team_channel": "#team", "chat": "slack"})


@contextlib.asynccontextmanager
async def bot(settings: Settings, twin: Twin, line: str) -> AsyncIterator[None]:
    """The bot serves while the block runs; entering again is a restart."""
    serving = asyncio.create_task(make(settings, lines.chat(twin, line)).serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        async with asyncio.timeout(LOOK_S):
            while twin.delivery.sockets:  # noqa: ASYNC110  so that nothing is sent to one that is going
                await asyncio.sleep(0.01)


async def sees(hands: Hands, is_it: Callable[[Shown], bool], user: str = "U1") -> Shown:
    """The first message like that, as soon as it is there. Fails with what there is instead."""
    try:
        async with asyncio.timeout(LOOK_S):
            while not (found := next(filter(is_it, hands.sees(user)), None)):  # noqa: ASYNC110  a platform tells nobody
                await asyncio.sleep(0.1)
    except TimeoutError:
        there = "\n".join(f"{shown.title} | {shown.text[:200]} | {list(shown.buttons)}" for shown in hands.sees(user))
        raise AssertionError(f"not seen within {LOOK_S:.0f} s, but:\n{there}") from None
    return found


async def form(twin: Twin) -> Payload:
    """The form that is open."""
    async with asyncio.timeout(LOOK_S):
        while not twin.at.views:  # noqa: ASYNC110  a platform tells nobody
            await asyncio.sleep(0.05)
    return dict(next(iter(twin.at.views.values())))
