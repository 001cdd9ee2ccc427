"""Slack keeps the contract of a chat, over Socket Mode and over HTTP."""

import asyncio
from collections.abc import Mapping

import pytest

from adapters.chat.slack.chat import SlackChat
from adapters.chat.slack.settings import SlackSettings
from bot.chat import Button, Chat, Command, Message, Person, Place, Press, Upload
from tests.adapters.slack import lines
from tests.contract.chat import ChatContract, Platform, eventually
from tests.twins.slack.hands import Hands
from tests.twins.slack.server import Twin
from tests.twins.slack.workspace import Payload


class SlackPlatform(Platform):
    """Ann's words are a mention in a thread, since slash commands cannot be typed there."""

    ann, bob = Person("U1", "ann"), Person("U2", "bob")
    gone = Place("T1/C9/9.9")

    def __init__(self, twin: Twin, settings: SlackSettings) -> None:
        self.twin, self.settings, self.hands = twin, settings, Hands(twin)
        self.root = twin.at.add("C1", {"user": "U2", "text": "a thread"})["ts"]
        self.place = Place(f"T1/C1/{self.root}")

    def adapter(self) -> Chat:
        return SlackChat(self.settings)

    async def does(self, what: Command | Press | Upload) -> str:
        if isinstance(what, Upload):
            ts = self.hands.says("U1", "C1", "", self.root, files=[self.twin.at.files[what.id].facts])
            return f"slack/C1/{ts}/{what.id}"
        if isinstance(what, Command):
            return f"slack/C1/{self.hands.says('U1', 'C1', f'<@U0BOT> {what.text}', self.root)}"
        shown = self.twin.at.add("C1", {"user": "U0BOT", "bot_id": "B0BOT", "text": "", "thread_ts": self.root})
        return "slack/" + self.hands.presses("U1", "C1", shown["ts"], {"action_id": "press-0", "value": what.action})

    def seen_by(self, person: Person) -> list[Message]:
        return [Message("", shown.text) for shown in self.hands.sees(person.id)]

    def acknowledged(self) -> list[str]:
        told = (payload for payload, _ in self.twin.delivery.told)
        return [f"slack/C1/{payload['event']['ts']}" for payload in told if payload.get("event", {}).get("ts")]

    def refusals(self) -> list[str]:
        return [shown.text for shown in self.hands.sees("U1")]

    def file(self, content: bytes) -> Upload:
        facts = self.twin.at.keep("pairs.csv", content, "U1").facts
        return Upload(facts["id"], facts["name"], facts["size"])

    def closed_file(self) -> Upload:
        upload = self.file(b"text\nhi\n")
        self.twin.at.scopes.discard("files:read")
        return upload

    async def fills_in(self, button: Button, values: Mapping[str, str]) -> bool:
        (shown,) = self.hands.sees("U1")
        self.hands.press_label("U1", shown, button.label)
        self.filling = asyncio.create_task(self._submit({name: {"value": value} for name, value in values.items()}))
        return True

    async def _submit(self, values: dict[str, Payload]) -> None:
        await eventually(lambda: bool(self.twin.at.views))
        self.hands.submits("U1", next(iter(self.twin.at.views.values())), values)

    async def chats(self, words: str) -> bool:
        self.hands.says("U1", "C1", words, self.root)
        return True

    def asks_to_wait(self, seconds: float) -> bool:
        self.twin.at.faults["chat.postMessage"].append(f"429:{seconds:g}")
        return True


@pytest.mark.parametrize("line", lines.LINES)
class TestSlack(ChatContract):
    @pytest.fixture
    def platform(self, there: Twin, line: str) -> Platform:
        return SlackPlatform(there, lines.settings(there, line))
