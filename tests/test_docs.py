"""The documentation says what the code does."""

import re
from pathlib import Path

from adapters.chat.discord.settings import DiscordSettings
from adapters.chat.slack.settings import SlackSettings
from adapters.executors.hf_jobs.settings import HfJobsSettings
from adapters.executors.ray.settings import RaySettings
from bot.settings import Settings

ROOT = Path(__file__).parent.parent
SETTINGS = (Settings, DiscordSettings, SlackSettings, RaySettings, HfJobsSettings)
"""The bot's own, and those of each adapter."""


def settings() -> dict[str, tuple[str, str]]:
    """Each setting's default, as it is written in an environment, and its sentence."""
    found = {}
    for each in SETTINGS:
        prefix = each.model_config.get("env_prefix", "")
        for name, field in each.model_fields.items():
            found[f"{prefix}{name}".upper()] = (_text(field.default), field.description or "")
    return found


def _text(default: object) -> str:
    value = default.get_secret_value() if hasattr(default, "get_secret_value") else default
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_readme_has_every_setting_with_its_default_and_its_sentence() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`)? \| (.*?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert {name: (default, sentence) for name, default, sentence in rows} == settings()


def test_env_example_has_every_setting_with_its_default() -> None:
    rows = re.findall(r"^# ([A-Z_]+)=(.*)$", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    assert dict(rows) == {name: default for name, (default, _) in settings().items()}


def test_every_make_target_that_the_readme_names_is_there() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named and named <= targets
