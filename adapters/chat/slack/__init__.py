"""Slack: one workspace, over Socket Mode (an app token) or HTTP (a signing secret)."""

from pathlib import Path

from adapters.chat.slack.chat import SlackChat
from adapters.chat.slack.settings import SlackSettings


def make(data: Path) -> SlackChat:
    """The chat as `SLACK_…` in the environment or `.env` says. Raises Refusal naming what is missing."""
    return SlackChat(SlackSettings().checked())
