"""`python -m bot setup` as a person goes through it: in a terminal, before the platforms' twins and a local Hub."""

import asyncio
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from bot.setup.environment import write
from tests.bot.setup.terminal import Terminal, terminal
from tests.e2e.house import hub
from tests.twins.discord import TOKEN, Wire
from tests.twins.discord_world import World
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import twin

COMMON = {"HTTP_PORT": "0", "EXECUTOR": "local", "HF_PUBLIC_ENDPOINT": ""}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with hub(tmp_path_factory.mktemp("hub")) as found:
        yield found


async def chooses(there: Terminal, question: str, option: str) -> None:
    """Type the number before an option."""
    await there.until(question)
    await there.until(option)
    line = next(line for line in reversed(there.shown.splitlines()) if line.strip().endswith(option))
    await there.answers("1 to", line.strip().partition(".")[0])


async def test_slack_is_set_up_with_four_pasted_values_and_then_serves(
    tmp_path: Path, endpoint: tuple[str, str]
) -> None:
    address, token = endpoint
    async with twin() as slack:
        at = slack.at
        there = {**COMMON, "SLACK_API_URL": f"{at.base}/api/", "HF_ENDPOINT": address}
        async with terminal(tmp_path, there, "setup") as person:
            await chooses(person, "Where does your team talk?", "Slack")
            await person.until("https://api.slack.com/apps?new_app=1&manifest_json=")
            await person.answers("xoxb-…): ", "xoxb-wrong")
            await person.until("✗ Slack does not take SLACK_BOT_TOKEN (invalid_auth)")
            await person.answers("xoxb-…): ", at.bot_token)
            await person.until("✓ The bot token is that of threadtune")
            await person.answers("xapp-…): ", at.app_token)
            await person.until("✓ The app token opens a socket.")
            await person.answers("(U…): ", "U1")
            await person.until("✓ That is ann.")
            await chooses(person, "Which channel", "#team")
            await person.answers("models on this server: ", token)
            await person.until("✓ The token may push to local")
            await chooses(person, "Which user or organisation", "local")
            await person.until("which only you can read")
            await person.until("Nothing is wrong.")
            hands = Hands(slack)
            hands.says("U1", "D1", "help")
            async with asyncio.timeout(120):
                while not [shown for shown in hands.sees("U1") if shown.title == "/finetune"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        for secret in (at.bot_token, at.app_token, token):
            assert secret not in person.shown
    file = tmp_path / ".env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert dotenv_values(file) == {
        "CHAT": "slack",
        "SLACK_BOT_TOKEN": at.bot_token,
        "SLACK_APP_TOKEN": at.app_token,
        "ADMINS": "U1",
        "TEAM_CHANNEL": "C2",
        "HF_TOKEN": token,
        "HF_NAMESPACE": "local",
    }


async def test_discord_is_set_up_with_one_pasted_value(tmp_path: Path) -> None:
    wire = Wire()
    await wire.start()
    world = World(wire)
    try:
        async with terminal(tmp_path, {**COMMON, "DISCORD_API": wire.api}, "setup", "--no-start") as person:
            await chooses(person, "Where does your team talk?", "Discord")
            await person.answers("Bot token: ", "wrong")
            await person.until("✗ Discord does not know this token (status 401)")
            await person.answers("Bot token: ", TOKEN)
            await person.until(f"client_id={world.backend.application_id}&scope=bot+applications.commands&permissions=")
            await chooses(person, "Which channel", "#team")
            await person.answers("models on this server: ", "")
            await person.until("Nothing is wrong.")
            assert await person.ends() == 0
        assert TOKEN not in person.shown
    finally:
        await wire.stop()
    values = dotenv_values(tmp_path / ".env")
    assert values["CHAT"] == "discord" and values["DISCORD_TOKEN"] == TOKEN
    assert values["TEAM_CHANNEL"] == str(world.team.id)
    assert values["ADMINS"]


async def test_without_anybody_to_answer_nothing_is_written(tmp_path: Path) -> None:
    async with terminal(tmp_path, COMMON, "setup") as person:
        await person.answers("1 to", "\x04")
        await person.until("Nobody answers, so nothing was changed")
        assert await person.ends() == 1
    assert not (tmp_path / ".env").exists()


def test_what_stood_in_env_stays_and_values_come_back_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nMAX_QUEUED=5\nCHAT=console\n")
    values = {"CHAT": "slack", "TEAM_CHANNEL": "#ml team", "ODD": 'a\'b\\c "d" #x'}
    write(file, values)
    assert dotenv_values(file) == {"MAX_QUEUED": "5", **values}
    assert file.read_text().startswith("# mine\n")
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
