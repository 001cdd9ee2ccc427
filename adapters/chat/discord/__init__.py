"""Discord: slash commands, dropped files with their uploader's consent, threads, buttons that survive a restart."""

from pathlib import Path

from adapters.chat.discord.chat import Discord
from adapters.chat.discord.kept import Kept
from adapters.chat.discord.settings import DiscordSettings
from bot.settings import Settings
from engine.refusal import Refusal


def make(data: Path) -> Discord:
    """The adapter as the environment says. Raises Refusal when there is no token."""
    chosen = DiscordSettings()
    if not chosen.token.get_secret_value():
        raise Refusal("DISCORD_TOKEN is not set; docs/discord.md says where the bot's token is found.", "DISCORD_TOKEN")
    channels = chosen.channels or Settings().channels
    return Discord(chosen.model_copy(update={"channels": channels}), Kept(data / "discord"))
