"""The whole bot in Slack's twin: from a dropped file to a model and the team's card."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.app import make
from bot.settings import Settings
from tests.adapters.slack import lines
from tests.e2e.house import hub, settings
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin

ROWS = [f"human: what is item {n}? bot: item {n} is number {n} of threadtune." for n in range(24)]
FACTS = ("text\n" + "".join(f'"{row}"\n' for row in ROWS)).encode()
pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def bot(chosen: Settings, twin: Twin, line: str) -> AsyncIterator[None]:
    """The bot serves while the block runs; entering again is a restart."""
    serving = asyncio.create_task(make(chosen, lines.chat(twin, line)).serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def sees(hands: Hands, is_it: Callable[[Shown], bool], timeout_s: float = 240) -> Shown:
    async with asyncio.timeout(timeout_s):
        while not (found := next(filter(is_it, hands.sees("U1")), None)):  # noqa: ASYNC110  a platform tells nobody
            await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("line", lines.LINES)
async def test_a_dropped_file_becomes_a_model_with_one_ping_and_a_card(
    tmp_path: Path, there: Twin, hands: Hands, line: str
) -> None:
    with hub(tmp_path / "hub") as endpoint:
        chosen = settings(tmp_path, *endpoint).model_copy(update={"team_channel": "#team", "chat": "slack"})
        async with bot(chosen, there, line):
            hands.drops("U1", "C1", "broken.csv", b"txt\nhello\n")
            await sees(hands, lambda shown: "cannot be trained on yet" in shown.title)
            ts = hands.drops("U1", "C1", "facts.csv", FACTS)
            report = await sees(hands, lambda shown: "is ready for" in shown.title)
            assert report.thread == ts
            hands.says("U1", "C1", "<@U0BOT> sft max_steps=4 max_length=64 valid=4", ts)
            await sees(hands, lambda shown: "Start" in shown.buttons)
        async with bot(chosen, there, line):
            plan = await sees(hands, lambda shown: "Start" in shown.buttons)
            hands.press_label("U1", plan, "Start")
            hands.press_label("U2", plan, "Start")
            final = await sees(hands, lambda shown: shown.title == "Run 1 succeeded" and shown.channel == "C1")
            assert final.thread == ts
            await sees(hands, lambda shown: shown.channel == "C2")
            await sees(hands, lambda shown: shown.files == ("run-1-loss.png",))
            assert len([shown for shown in hands.sees("U1") if shown.title.startswith("Run 1 ·")]) == 1
    assert there.at.pings == {"U1": 1}
    assert there.at.refused == []
