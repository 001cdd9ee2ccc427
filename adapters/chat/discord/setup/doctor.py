"""What can be wrong with Discord: the token, the message content intent, servers, the team's channel."""

from typing import Any

import aiohttp

from adapters.chat.discord.settings import DiscordSettings
from bot.setup.findings import TIMEOUT, Finding, note, well, wrong

CONTENT_FLAGS = 1 << 18 | 1 << 19
"""Message content intent, for bots in many servers and in few."""
PERMISSIONS = 309237763136
PORTAL = "https://discord.com/developers/applications"


async def examine(team_channel: str) -> list[Finding]:
    settings = DiscordSettings()
    if not settings.token.get_secret_value():
        return [wrong("Discord", "DISCORD_TOKEN is not set; docs/discord.md says where the bot's token is found.")]
    try:
        status, about = await asked(settings, "/oauth2/applications/@me")
        if status == 401:
            return [wrong("Discord", f"Discord does not know this DISCORD_TOKEN: reset it under *Bot* at {PORTAL}.")]
        if status != 200:
            return [note("Discord", f"Discord answers with status {status}; the bot tries again by itself.")]
        return [*application(settings, about), *await guilds(settings, about), *await channel(settings, team_channel)]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [note("Discord", f"{settings.api} does not answer ({error!r}); the bot tries again by itself.")]


async def asked(settings: DiscordSettings, path: str) -> tuple[int, Any]:
    """Status and body of one request."""
    headers = {"Authorization": f"Bot {settings.token.get_secret_value()}"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(f"{settings.api}{path}", headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def application(settings: DiscordSettings, about: dict[str, Any]) -> list[Finding]:
    found = [well("Discord", f"The token is that of {about.get('name') or 'the bot'}.")]
    if about.get("interactions_endpoint_url"):
        text = (
            "An Interactions Endpoint URL is set, so commands never reach the bot: empty it under General Information."
        )
        found.append(wrong("Discord", text))
    if not int(about.get("flags", 0)) & CONTENT_FLAGS and settings.drops != "off":
        text = (
            "The message content intent is off, so dropped files are seen only where a message mentions the bot: "
            f"switch on Message Content Intent under *Bot* at {PORTAL}, or set DISCORD_DROPS=off."
        )
        found.append(note("intents", text))
    return found


def invite(application_id: str) -> str:
    scope = f"client_id={application_id}&scope=bot+applications.commands&permissions={PERMISSIONS}"
    return f"https://discord.com/oauth2/authorize?{scope}"


async def guilds(settings: DiscordSettings, about: dict[str, Any]) -> list[Finding]:
    _, there = await asked(settings, "/users/@me/guilds")
    if there:
        return [well("Discord", f"It is in {len(there)} server{'s' if len(there) > 1 else ''}.")]
    return [wrong("Discord", f"The bot is in no server: open {invite(str(about.get('id', 'ID')))} and choose one.")]


async def channel(settings: DiscordSettings, key: str) -> list[Finding]:
    if not key:
        return []
    status, about = await asked(settings, f"/channels/{key}") if key.isdigit() else (404, {})
    if status == 200:
        return [well("TEAM_CHANNEL", f"The bot sees #{about.get('name')}.")]
    return [
        wrong(
            "TEAM_CHANNEL",
            f"TEAM_CHANNEL={key} is no channel that the bot sees (status {status}): set a channel's id, "
            "and give the bot View Channels and Send Messages there.",
        )
    ]
