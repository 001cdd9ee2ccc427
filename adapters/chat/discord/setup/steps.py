"""What `python -m bot setup` asks for Discord: one value; the invite link follows from it, and so does the admin."""

from typing import Any

from pydantic import SecretStr

from adapters.chat.discord.settings import DiscordSettings
from adapters.chat.discord.setup import doctor
from bot.setup.asking import Step, Values
from engine.refusal import Refusal

TITLE = "Discord"
INVITE = "after the bot was invited to a server"
TEXT_CHANNEL = 0


def steps() -> list[Step]:
    return [
        Step(
            "DISCORD_TOKEN",
            "Bot token",
            f"1. At {doctor.PORTAL}: New Application, then *Bot*. Switch on *Message Content Intent* "
            "and *Reset Token*, which shows the token once.",
            token,
        )
    ]


def _settings(value: str) -> DiscordSettings:
    return DiscordSettings(_env_file=None).model_copy(update={"token": SecretStr(value)})


async def _application(value: str) -> dict[str, Any]:
    status, about = await doctor.asked(_settings(value), "/oauth2/applications/@me")
    if status != 200:
        raise Refusal(f"Discord does not know this token (status {status}): copy it again from *Bot*.", "DISCORD_TOKEN")
    found: dict[str, Any] = about
    return found


async def token(value: str, values: Values) -> str:
    about = await _application(value)
    notes = [finding.text for finding in doctor.application(_settings(value), about) if finding.state != "well"]
    lines = [f"The token is that of {about.get('name') or 'the bot'}.", *notes]
    link = doctor.invite(str(about["id"]))
    return "\n".join((*lines, f"2. Open this link and choose your server: the bot joins it.\n\n{link}\n"))


async def people(values: Values) -> str:
    """The application's owner: its team's, if it has one."""
    about = await _application(values["DISCORD_TOKEN"])
    team, owner = about.get("team") or {}, about.get("owner") or {}
    return str(team.get("owner_user_id") or owner.get("id") or "")


async def channels(values: Values) -> list[tuple[str, str]]:
    """Id and name of each text channel of the bot's servers."""
    settings = _settings(values["DISCORD_TOKEN"])
    _, guilds = await doctor.asked(settings, "/users/@me/guilds")
    found = []
    for guild in guilds:
        _, there = await doctor.asked(settings, f"/guilds/{guild['id']}/channels")
        found += [(str(each["id"]), str(each["name"])) for each in there if each["type"] == TEXT_CHANNEL]
    return found
