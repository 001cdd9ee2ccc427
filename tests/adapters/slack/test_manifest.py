"""The manifest asks for what the code uses, and for nothing else."""

import re
from pathlib import Path

import yaml

from tests.twins.slack.methods import HISTORY, METHODS
from tests.twins.slack.workspace import SCOPES

ROOT = Path(__file__).parents[3]
MANIFEST = yaml.safe_load((ROOT / "deploy" / "slack-manifest.yaml").read_text())
CODE = "\n".join(path.read_text() for path in (ROOT / "adapters" / "chat" / "slack").rglob("*.py"))
WITH_MESSAGES = {"message.channels": "C", "message.groups": "G", "message.im": "D"}


def called() -> set[str]:
    return set(re.findall(r'"((?:auth|chat|conversations|users|usergroups|files|views)\.[a-zA-Z]+)"', CODE))


def test_each_scope_is_needed_by_a_method_or_an_event_and_each_need_is_met() -> None:
    methods = {scope for method in called() for scope in METHODS[method][0].split()}
    events = {HISTORY[kind] for kind in WITH_MESSAGES.values()}
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == methods | events | {"commands"}


def test_the_twin_grants_what_the_manifest_asks_for() -> None:
    assert set(MANIFEST["oauth_config"]["scopes"]["bot"]) == SCOPES


def test_each_event_of_the_manifest_is_handled() -> None:
    kinds = {event.partition(".")[0] for event in MANIFEST["settings"]["event_subscriptions"]["bot_events"]}
    receive = (ROOT / "adapters" / "chat" / "slack" / "receive.py").read_text()
    assert kinds == set(re.findall(r'case "(message|app_home_opened|member_joined_channel)"', receive))


def test_the_form_the_shortcut_and_the_command_are_in_the_manifest() -> None:
    features = MANIFEST["features"]
    assert [one["command"] for one in features["slash_commands"]] == ["/finetune"]
    assert [one["type"] for one in features["shortcuts"]] == ["message"]
    assert MANIFEST["settings"]["interactivity"]["is_enabled"]
