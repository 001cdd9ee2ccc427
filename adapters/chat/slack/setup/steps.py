"""What `python -m bot setup` asks for Slack: three values, of which the app's manifest prefills everything else."""

import json
from pathlib import Path
from urllib.parse import urlencode

import yaml
from pydantic import SecretStr

from adapters.chat.slack.settings import SlackSettings
from adapters.chat.slack.setup import doctor
from bot.setup.asking import Step, Values
from bot.setup.findings import Finding
from engine.refusal import Refusal

TITLE = "Slack"
INVITE = "after `/invite @threadtune` in the channel"
MANIFEST = Path(__file__).parents[4] / "deploy" / "slack-manifest.yaml"


def steps() -> list[Step]:
    return [
        Step(
            "SLACK_BOT_TOKEN",
            "Bot User OAuth Token (xoxb-…)",
            "1. Open this link, pick your workspace, choose Next and Create: the app is filled in.\n\n"
            f"{prefilled()}\n\n"
            "2. *Install to Workspace*, then copy the Bot User OAuth Token from *OAuth & Permissions*.",
            bot_token,
        ),
        Step(
            "SLACK_APP_TOKEN",
            "App-level token (xapp-…)",
            "3. *Basic Information → App-Level Tokens → Generate*, with the scope connections:write.",
            app_token,
        ),
        Step(
            "ADMINS",
            "Your member ID (U…)",
            "4. Who sets the bot up is its admin. In Slack: your picture → Profile → ⋮ → Copy member ID.",
            member,
            is_secret=False,
        ),
    ]


def prefilled() -> str:
    """The link that makes the app from the manifest."""
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    query = {"new_app": 1, "manifest_json": json.dumps(manifest, separators=(",", ":"))}
    return f"https://api.slack.com/apps?{urlencode(query)}"


def _settings(values: Values) -> SlackSettings:
    base = SlackSettings(_env_file=None)
    tokens = {name: SecretStr(values.get(f"SLACK_{name.upper()}", "")) for name in ("bot_token", "app_token")}
    return base.model_copy(update=tokens)


async def bot_token(value: str, values: Values) -> str:
    if not value.startswith("xoxb-"):
        raise Refusal("A bot token begins with xoxb-.", "SLACK_BOT_TOKEN")
    return _said(await doctor.bot_token(_settings({"SLACK_BOT_TOKEN": value})))


async def app_token(value: str, values: Values) -> str:
    if not value.startswith("xapp-"):
        raise Refusal("An app-level token begins with xapp-.", "SLACK_APP_TOKEN")
    (finding,) = await doctor.app_token(_settings({**values, "SLACK_APP_TOKEN": value}))
    return _said(finding)


async def member(value: str, values: Values) -> str:
    settings = _settings(values)
    told, _ = await doctor.asked(settings, settings.bot_token.get_secret_value(), "users.info", user=value)
    if not told.get("ok"):
        raise Refusal(f"Slack knows nobody by {value} ({told.get('error')}).", "ADMINS")
    return f"That is {told['user'].get('name', value)}."


def _said(finding: Finding) -> str:
    if finding.state == "wrong":
        raise Refusal(finding.text)
    return finding.text


async def people(values: Values) -> str:
    return values["ADMINS"]


async def channels(values: Values) -> list[tuple[str, str]]:
    return await doctor.channels(_settings(values))
