"""What an operator can set for Discord; the names in the environment begin with DISCORD_."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class DiscordSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DISCORD_", env_file=".env", extra="ignore", frozen=True)

    token: SecretStr = Field(SecretStr(""), description="Token of the Discord bot.")
    drops: Literal["ask", "on", "off"] = Field(
        "ask", description="Files dropped in Discord: ask their uploader first, take them at once (on), or leave them."
    )
    channels: str = Field(
        "",
        description="Ids of the Discord channels where drops are noticed, with commas; empty is those of CHANNELS.",
    )
    api: str = Field("https://discord.com/api/v10", description="Root of Discord's API; another one for a proxy.")
    gateway: str = Field("wss://gateway.discord.gg/", description="Discord's gateway; another one for a proxy.")

    def notices(self, *channels: int | None) -> bool:
        """Whether a drop in one of these (a thread, its parent) is answered unasked."""
        chosen = {word.strip() for word in self.channels.split(",") if word.strip()}
        return self.drops != "off" and (not chosen or any(str(channel) in chosen for channel in channels))
