"""What can be wrong with Slack: tokens, scopes, the socket, the team's channel."""

from typing import Any

import aiohttp

from adapters.chat.slack.settings import SlackSettings
from bot.setup.findings import TIMEOUT, Finding, note, well, wrong
from engine.refusal import Refusal

SCOPES = (
    "channels:history",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "im:history",
    "im:read",
    "im:write",
    "usergroups:read",
    "users:read",
)
"""Those of deploy/slack-manifest.yaml."""


async def examine(team_channel: str) -> list[Finding]:
    settings = SlackSettings().checked()
    try:
        found = [await bot_token(settings), *await app_token(settings)]
        if team_channel and found[0].state == "well":
            found += await channel(settings, team_channel)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return [note("Slack", f"{settings.api_url} does not answer ({error!r}); the bot tries again by itself.")]
    return found


async def asked(settings: SlackSettings, token: str, method: str, **form: str) -> tuple[dict[str, Any], set[str]]:
    """Slack's answer to one call, and the scopes of the token that it was made with."""
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(f"{settings.api_url}{method}", data=form, headers=headers) as answer,
    ):
        scopes = answer.headers.get("x-oauth-scopes", "")
        if answer.status != 200:
            return {"ok": False, "error": f"status {answer.status}"}, set()
        return await answer.json(), {scope.strip() for scope in scopes.split(",") if scope.strip()}


async def bot_token(settings: SlackSettings) -> Finding:
    told, scopes = await asked(settings, settings.bot_token.get_secret_value(), "auth.test")
    if not told.get("ok"):
        return wrong(
            "Slack",
            f"Slack does not take SLACK_BOT_TOKEN ({told.get('error')}): install the app again and copy the new one "
            "from *OAuth & Permissions*.",
        )
    missing = [scope for scope in SCOPES if scope not in scopes]
    if missing:
        return wrong(
            "Slack",
            f"The bot token lacks {', '.join(missing)}: add it under *OAuth & Permissions → Scopes* and choose "
            "*Reinstall to Workspace*.",
        )
    return well("Slack", f"The bot token is that of {told.get('user')} in {told.get('team')}, with all scopes.")


async def app_token(settings: SlackSettings) -> list[Finding]:
    if not settings.is_socket:
        return [note("Slack", "Slack sends its requests by HTTP: whether it reaches this machine only Slack can tell.")]
    told, _ = await asked(settings, settings.app_token.get_secret_value(), "apps.connections.open")
    if told.get("ok"):
        return [well("Slack", "The app token opens a socket.")]
    return [
        wrong(
            "Slack",
            f"Slack does not open a socket for SLACK_APP_TOKEN ({told.get('error')}): generate an app-level token "
            "with connections:write under *Basic Information*, and see that Socket Mode is on.",
        )
    ]


async def channels(settings: SlackSettings) -> list[tuple[str, str]]:
    """Id and name of each channel that the bot is in."""
    found: list[tuple[str, str]] = []
    cursor = ""
    while True:
        form = {"types": "public_channel,private_channel", "limit": "200", "cursor": cursor}
        told, _ = await asked(settings, settings.bot_token.get_secret_value(), "users.conversations", **form)
        if not told.get("ok"):
            raise Refusal(f"Slack does not list the bot's channels ({told.get('error')}).", "SLACK_BOT_TOKEN")
        found += [(each["id"], each["name"]) for each in told.get("channels", []) if each.get("name")]
        cursor = (told.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return found


async def channel(settings: SlackSettings, word: str) -> list[Finding]:
    for key, name in await channels(settings):
        if word in (key, name, f"#{name}"):
            return [well("TEAM_CHANNEL", f"The bot is in #{name}.")]
    return [
        wrong(
            "TEAM_CHANNEL",
            f"TEAM_CHANNEL={word} is no channel that the bot is in: `/invite` it there, or set another one.",
        )
    ]
