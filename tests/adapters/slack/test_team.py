"""A team's matters in Slack's twin: guests, private channels, approval by a second person, quotas, the audit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.app import App, make
from bot.settings import Settings
from tests.adapters.slack import lines
from tests.adapters.slack.room import FACTS
from tests.e2e.house import hub, settings
from tests.twins.slack.hands import Hands, Shown
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import BOT, Channel


@contextlib.asynccontextmanager
async def bot(chosen: Settings, twin: Twin) -> AsyncIterator[App]:
    app = make(chosen, lines.chat(twin, "socket"))
    serving = asyncio.create_task(app.serve())
    try:
        yield app
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def sees(hands: Hands, who: str, is_it: Callable[[Shown], bool], timeout_s: float = 120) -> Shown:
    async with asyncio.timeout(timeout_s):
        while not (found := next(filter(is_it, hands.sees(who)), None)):  # noqa: ASYNC110  a platform tells nobody
            await asyncio.sleep(0.1)
    return found


@pytest.mark.parametrize("facts", [{"is_restricted": True}, {"is_ultra_restricted": True}, {"team_id": "T9"}])
async def test_a_guest_and_a_person_of_another_workspace_are_turned_away_in_private(
    tmp_path: Path, there: Twin, hands: Hands, facts: dict[str, object]
) -> None:
    there.at.facts["U2"] = facts
    chosen = Settings(_env_file=None, data=tmp_path, chat="slack", http_port=0)
    async with bot(chosen, there):
        hands.drops("U2", "C1", "facts.csv", FACTS)
        await sees(hands, "U2", lambda shown: "full members only" in shown.text)
        hands.slash("U1", "C1", "list")
        await sees(hands, "U1", lambda shown: "No runs yet" in shown.text)
        assert not [shown for shown in hands.sees("U1") if "full members only" in shown.text]
        assert not chosen.uploads.exists()


async def test_public_and_private_channels_are_told_apart(there: Twin) -> None:
    there.at.channels["C4"] = Channel("C4", "secret", {"U1", BOT}, is_private=True)
    chat = lines.chat(there)
    assert not await chat.people.is_private("C1")
    for channel in ("C4", "C3", "D1"):
        assert await chat.people.is_private(channel)
    await chat.api.settled()


@pytest.mark.slow
async def test_a_costly_run_is_approved_by_a_second_person_and_the_audit_has_it(
    tmp_path: Path, there: Twin, hands: Hands
) -> None:
    with hub(tmp_path / "hub") as endpoint:
        team = {"team_channel": "#team", "chat": "slack", "admins": "U2", "approve_above_hours": 0.000_001}
        async with bot(settings(tmp_path, *endpoint).model_copy(update=team), there):
            ts = hands.drops("U1", "C1", "facts.csv", FACTS)
            await sees(hands, "U1", lambda shown: "is ready for" in shown.title)
            hands.says("U1", "C1", f"<@{BOT}> sft max_steps=2 max_length=64 valid=4", ts)
            plan = await sees(hands, "U1", lambda shown: "Start" in shown.buttons)
            hands.press_label("U1", plan, "Start")
            refused = await sees(hands, "U1", lambda shown: "Ask for approval" in shown.buttons)
            hands.press_label("U1", refused, "Ask for approval")
            request = await sees(hands, "U2", lambda shown: "Approve" in shown.buttons and shown.channel == "C2")
            hands.press_label("U1", request, "Approve")
            await sees(hands, "U1", lambda shown: "Approving is for admins" in shown.text)
            hands.press_label("U2", request, "Approve")
            await sees(hands, "U1", lambda shown: shown.title == "Run 1 succeeded" and shown.channel == "C1", 240)
            hands.slash("U1", "C1", "audit")
            await sees(hands, "U1", lambda shown: "for admins" in shown.text and "audit" not in shown.text)
            hands.slash("U2", "C1", "audit")
            audit = await sees(hands, "U2", lambda shown: any("approve" in row for row in shown.table))
            assert {row[1] for row in audit.table[1:]} == {"ann", "bob"}
