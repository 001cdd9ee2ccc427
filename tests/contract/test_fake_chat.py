"""The fake keeps the contract that the tests of the bot rely on."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot.chat import Button, Chat, Command, Denied, Message, Person, Place, Press, TryLater, Upload
from tests.contract.chat import ChatContract, Platform
from tests.fakes.chat import FakeChat, Server


class FakePlatform(Platform):
    ann, bob = Person("U1", "ann"), Person("U2", "bob")
    place, gone = Place("C1/1"), Place("C9/9")

    def __init__(self) -> None:
        self.server = Server(closed={self.gone.id}, names={self.ann.id: self.ann.name})

    def adapter(self) -> Chat:
        return FakeChat(self.server)

    async def does(self, what: Command | Press | Upload) -> str:
        return self.server.does(self.ann, self.place, what).key

    async def fills_in(self, button: Button, values: Mapping[str, str]) -> bool:
        await self.does(Press(button.action, values))
        return True

    def seen_by(self, person: Person) -> list[Message]:
        return self.server.seen_by(person)

    def acknowledged(self) -> list[str]:
        return self.server.acknowledged

    def refusals(self) -> list[str]:
        return [refusal.text for refusal in self.server.refusals]

    def file(self, content: bytes) -> Upload:
        self.server.files["f1"] = content
        return Upload("f1", "pairs.csv", len(content))

    def closed_file(self) -> Upload:
        self.server.failures.append(Denied("files:read"))
        return Upload("f2", "closed.csv", 3)

    def asks_to_wait(self, seconds: float) -> bool:
        self.server.failures.append(TryLater(seconds))
        return True


class TestFakeChat(ChatContract):
    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return FakePlatform()
