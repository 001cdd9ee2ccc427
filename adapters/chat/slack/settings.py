"""What an operator sets for Slack: `SLACK_…` in the environment or `.env`."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.refusal import Refusal


class SlackSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SLACK_", env_file=".env", extra="ignore", frozen=True)

    bot_token: SecretStr = Field(SecretStr(""), description="Bot token (xoxb-…) of the app, from its OAuth page.")
    app_token: SecretStr = Field(
        SecretStr(""), description="App-level token (xapp-…) with connections:write; set it for Socket Mode."
    )
    signing_secret: SecretStr = Field(
        SecretStr(""), description="Signing secret of the app; set it, without an app token, for HTTP."
    )
    host: str = Field("127.0.0.1", description="Address that Slack's HTTP requests come in at.")
    port: int = Field(3000, description="Port that Slack's HTTP requests come in at, with the path /slack/events.")
    drops: Literal["auto", "ask", "off"] = Field(
        "auto", description="What a file dropped in a channel gets: a check at once, a button that asks, or nothing."
    )
    api_url: str = Field("https://slack.com/api/", description="Slack's Web API; another one only for tests.")

    def checked(self) -> "SlackSettings":
        """Itself. Raises Refusal naming the setting that is missing or of the wrong kind."""
        if not self.bot_token.get_secret_value().startswith("xoxb-"):
            raise Refusal("SLACK_BOT_TOKEN is to be the app's bot token; it begins with xoxb-.", "SLACK_BOT_TOKEN")
        if self.is_socket and not self.app_token.get_secret_value().startswith("xapp-"):
            raise Refusal("SLACK_APP_TOKEN is to be an app-level token; it begins with xapp-.", "SLACK_APP_TOKEN")
        if not self.is_socket and not self.signing_secret.get_secret_value():
            raise Refusal(
                "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP: see docs/slack.md.",
                "SLACK_APP_TOKEN",
            )
        return self

    @property
    def is_socket(self) -> bool:
        return bool(self.app_token.get_secret_value())
