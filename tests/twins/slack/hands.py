"""A person's hands and eyes in the twin's workspace: what they do reaches the app as Slack would tell it."""

from dataclasses import dataclass
from typing import Any

from tests.twins.slack.limits import texts
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import APP, BOT, TEAM, Payload, Shared


@dataclass(frozen=True)
class Shown:
    """A message as people see it."""

    ts: str
    channel: str
    thread: str
    title: str
    text: str
    all: str
    buttons: dict[str, str]
    files: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]


class Hands:
    def __init__(self, twin: Twin) -> None:
        self.twin, self.at = twin, twin.at

    # ---- doing

    def _event(self, event: Payload) -> None:
        self.twin.delivery.send(
            {
                "token": "verification", "team_id": TEAM, "api_app_id": APP, "event": event, "type": "event_callback",
                "event_id": self.at.number("Ev"), "event_time": int(float(event["event_ts"])), "event_context": "4-t",
                "authorizations": [{"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}],
                "is_ext_shared_channel": False,
            }
        )  # fmt: skip

    def says(self, user: str, channel: str, text: str, thread: str = "", **more: Any) -> str:
        """A message, and the events that go with it; its ts. `files` are files that lie on the platform."""
        files = {"files": more.pop("files"), "subtype": "file_share"} if "files" in more else {}
        placed = {"thread_ts": thread} if thread else {}
        said = self.at.add(channel, {"user": user, "text": text, **placed, **files, **more})
        kind = {"C": "channel", "G": "group", "D": "im"}[channel[0]]
        for file in files.get("files", ()):
            told = {"file_id": file["id"], "file": {"id": file["id"]}, "user_id": user, "event_ts": said["ts"]}
            self._event({"type": "file_shared", "channel_id": channel, **told})
        if BOT in self.at.channels[channel].members:
            self._event({**said, "channel": channel, "channel_type": kind, "event_ts": said["ts"]})
        return str(said["ts"])

    def drops(self, user: str, channel: str, name: str, content: bytes, text: str = "", thread: str = "") -> str:
        file = self.at.keep(name, content, user)
        return self.says(user, channel, text, thread, files=[file.facts])

    def removes(self, file: Shared) -> None:
        """Delete a file: what Slack keeps of it is a tombstone."""
        file.facts = {"id": file.facts["id"], "mode": "tombstone"}

    def _who(self, user: str, *names: str) -> Payload:
        """Who did it, under the names that this payload has for people."""
        name = self.at.users[user]
        return {
            "user": {"id": user, **dict.fromkeys(names or ("username", "name"), name), "team_id": TEAM},
            "team": {"id": TEAM, "domain": "twin"},
        }

    def presses(self, user: str, channel: str, ts: str, action: Payload, is_private: bool = False) -> str:
        """Press a button of a message; the trigger of it."""
        trigger = self.at.trigger()
        shown = self.at.private if is_private else self.at.messages[channel]
        message = next(m for m in shown if m["ts"] == ts)
        container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": is_private}
        thread = {"thread_ts": message["thread_ts"]} if message.get("thread_ts") else {}
        self.twin.delivery.send(
            {
                "type": "block_actions", **self._who(user), "api_app_id": APP, "token": "verification",
                "container": {**container, **thread}, "trigger_id": trigger, "channel": {"id": channel, "name": "ml"},
                "message": message, "state": {"values": {}},
                "response_url": self.at.response_url(user, channel, message.get("thread_ts") or ""),
                "actions": [{"block_id": "b", "type": "button", "action_ts": self.at.stamp(), **action}],
            }
        )  # fmt: skip
        return trigger

    def presses_at_home(self, user: str, action: Payload) -> str:
        """Press a button of the Home tab, which stands in no channel."""
        trigger = self.at.trigger()
        self.twin.delivery.send(
            {
                "type": "block_actions", **self._who(user), "api_app_id": APP, "token": "verification",
                "container": {"type": "view", "view_id": "V1"}, "trigger_id": trigger, "view": self.at.homes[user],
                "actions": [{"block_id": "b", "type": "button", "action_ts": self.at.stamp(), **action}],
            }
        )  # fmt: skip
        return trigger

    def press_label(self, user: str, shown: Shown, label: str) -> str:
        return self.presses(user, shown.channel, shown.ts, {"action_id": "press-0", "value": shown.buttons[label]})

    def slash(self, user: str, channel: str, text: str) -> str:
        trigger = self.at.trigger()
        self.twin.delivery.send(
            {
                "token": "verification", "team_id": TEAM, "team_domain": "twin", "channel_id": channel,
                "channel_name": "directmessage" if channel[0] == "D" else self.at.channels[channel].name,
                "user_id": user, "user_name": self.at.users[user], "command": "/finetune", "text": text,
                "api_app_id": APP, "is_enterprise_install": "false",
                "response_url": self.at.response_url(user, channel),
                "trigger_id": trigger,
            },
            lambda answer: self._shown_privately(user, channel, answer),
        )  # fmt: skip
        return trigger

    def _shown_privately(self, user: str, channel: str, answer: Payload) -> None:
        if answer.get("text"):
            self.at.private.append({"ts": self.at.stamp(), "channel": channel, "user": user, "blocks": [], **answer})

    def shortcut(self, user: str, channel: str, ts: str) -> None:
        message = {name: value for name, value in self.at.message(channel, ts).items() if name != "subtype"}
        self.twin.delivery.send(
            {
                "type": "message_action", **self._who(user, "name"), "callback_id": "finetune-this-file",
                "message": message,
                "channel": {"id": channel, "name": "ml"}, "message_ts": ts, "trigger_id": self.at.trigger(),
                "token": "verification", "action_ts": self.at.stamp(),
                "response_url": self.at.response_url(user, channel, message.get("thread_ts") or ""),
            }
        )  # fmt: skip

    def searches(self, user: str, view: Payload, block: str, typed: str) -> None:
        """Type into a select of a form whose options the app offers; they are then in `at.suggested`."""
        element = next(each["element"] for each in view["blocks"] if each.get("block_id") == block)
        assert element["type"] == "external_select"
        self.twin.delivery.send(
            {
                "type": "block_suggestion", **self._who(user), "api_app_id": APP, "token": "verification",
                "container": {"type": "view", "view_id": view["id"]}, "action_id": element["action_id"],
                "block_id": block, "value": typed, "view": {**view, "team_id": TEAM, "hash": "1.a"},
            },
            self._offered,
        )  # fmt: skip

    def _offered(self, answer: Payload) -> None:
        assert len(answer["options"]) <= 100, "Slack takes a hundred options at most"
        for option in answer["options"]:
            assert option["text"]["type"] == "plain_text" and 0 < len(option["text"]["text"]) <= 75
            assert 0 < len(option["value"]) <= 150
        self.at.suggested.append([option["value"] for option in answer["options"]])

    def submits(self, user: str, view: Payload, values: dict[str, Payload]) -> None:
        """Press a form's own button. `values` gives the state of an input by its block."""
        inputs = {block["block_id"]: block["element"] for block in view["blocks"] if block["type"] == "input"}
        empty = {
            name: {element["action_id"]: {"type": element["type"], **_initial(element)}}
            for name, element in inputs.items()
        }
        given = {
            name: {inputs[name]["action_id"]: {"type": inputs[name]["type"], **state}} for name, state in values.items()
        }
        state = {"values": {**empty, **given}}
        self.twin.delivery.send(
            {
                "type": "view_submission", **self._who(user), "api_app_id": APP, "token": "verification",
                "trigger_id": self.at.trigger(), "view": {**view, "state": state, "team_id": TEAM, "hash": "1.a"},
                "response_urls": [],
            },
            lambda answer: self._answered(view, answer),
        )  # fmt: skip

    def _answered(self, view: Payload, answer: Payload) -> None:
        if answer.get("response_action") == "errors":
            known = {block.get("block_id") for block in view["blocks"] if block["type"] == "input"}
            assert set(answer["errors"]) <= known, "Slack refuses errors at blocks that are no inputs"
            self.at.form_errors.append(answer["errors"])
        else:
            self.at.views.pop(view["id"], None)

    def opens_home(self, user: str) -> None:
        self._event(
            {"type": "app_home_opened", "user": user, "channel": "D1", "tab": "home", "event_ts": self.at.stamp()}
        )

    def invites(self, channel: str) -> None:
        self.at.channels[channel].members.add(BOT)
        self._event(
            {
                "type": "member_joined_channel", "user": BOT, "channel": channel, "channel_type": channel[0],
                "team": TEAM, "event_ts": self.at.stamp(),
            }
        )  # fmt: skip

    # ---- seeing

    def sees(self, user: str, by_the_bot: bool = True) -> list[Shown]:
        """The messages that this person has before them, in order."""
        mine = [
            (m, channel.id)
            for channel in self.at.channels.values()
            if user in channel.members
            for m in self.at.messages[channel.id]
        ]
        private = [(m, m["channel"]) for m in self.at.private if m["user"] == user]
        told = [
            (m, channel)
            for m, channel in (*mine, *private)
            if not by_the_bot or m.get("user") == BOT or (m, channel) in private
        ]
        return [shown(m, channel) for m, channel in sorted(told, key=lambda pair: float(pair[0]["ts"]))]


def _initial(element: Payload) -> Payload:
    if "initial_option" in element:
        return {"selected_option": element["initial_option"]}
    return {"value": element.get("initial_value")}


def shown(message: Payload, channel: str) -> Shown:
    blocks: list[Payload] = message.get("blocks") or []
    title = next((block["text"]["text"] for block in blocks if block["type"] == "header"), "")
    buttons = [e for block in blocks if block["type"] == "actions" for e in block["elements"]]
    tables = [block["rows"] for block in blocks if block["type"] == "table"]
    return Shown(
        message["ts"],
        channel,
        message.get("thread_ts") or "",
        title,
        _text(blocks) or message.get("text", ""),
        texts(blocks),
        {button["text"]["text"]: button["value"] for button in buttons},
        tuple(file.get("name", "") for file in message.get("files", ())),
        tuple(tuple(cell["text"] for cell in row) for rows in tables for row in rows),
    )


def _text(blocks: list[Payload]) -> str:
    """The message's own words: the first section of its rich text."""
    sections = (part for block in blocks if block["type"] == "rich_text" for part in block["elements"])
    first: Payload = next((part for part in sections if part["type"] == "rich_text_section"), {"elements": []})
    return "".join(
        run.get("text") or run.get("url") or "" for run in first["elements"] if run["type"] != "user"
    ).lstrip()
