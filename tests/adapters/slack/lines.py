"""The adapter before a twin, over Socket Mode or over HTTP."""

import socket
from typing import Literal

from pydantic import SecretStr

from adapters.chat.slack.chat import SlackChat
from adapters.chat.slack.settings import SlackSettings
from tests.twins.slack.server import Twin

Drops = Literal["auto", "ask", "off"]
LINES = ("socket", "http")


def settings(twin: Twin, line: str, drops: Drops = "auto") -> SlackSettings:
    """Settings that lead to the twin; for HTTP, the twin learns where the adapter will listen."""
    port = free_port()
    if line == "http":
        twin.delivery.http_url = f"http://127.0.0.1:{port}/slack/events"
    return SlackSettings(
        _env_file=None,
        bot_token=SecretStr(twin.at.bot_token),
        app_token=SecretStr(twin.at.app_token if line == "socket" else ""),
        signing_secret=SecretStr(twin.at.signing_secret if line == "http" else ""),
        port=port,
        api_url=f"{twin.at.base}/api/",
        drops=drops,
    )


def chat(twin: Twin, line: str = "socket", drops: Drops = "auto") -> SlackChat:
    return SlackChat(settings(twin, line, drops).checked())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
