"""The outbox over a platform that misbehaves: nothing twice, nothing lost, in order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bot import store
from bot.chat import Denied, Message, Place, TryLater
from bot.migrate import upgrade
from bot.outbox import RETRY_S, STUCK_S, Outbox
from engine.database import Database
from tests.fakes.chat import FakeChat, Server

THREAD = Place("C1/1")


@dataclass
class Post:
    """An outbox with its server, and a clock that only moves when told to."""

    database: Database
    server: Server = field(default_factory=Server)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.chat = FakeChat(self.server)
        self.outbox = Outbox(self.database, self.chat, lambda: self.now)

    async def say(self, key: str, text: str, place: Place = THREAD) -> None:
        await self.database.write(store.say, place, Message(key, text))

    def texts(self) -> list[str]:
        return [message.text for _, message in self.server.messages.values()]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    url = f"sqlite:///{tmp_path / 'db'}"
    upgrade(url)
    database = Database(url)
    yield Post(database)
    database.close()


async def test_messages_of_a_thread_arrive_in_order(post: Post) -> None:
    for key in "abc":
        await post.say(key, key)
    await post.outbox.tick()
    assert post.texts() == ["a", "b", "c"]


async def test_a_lost_answer_posts_nothing_twice(post: Post) -> None:
    post.server.lost_answers = 1
    await post.say("a", "a")
    await post.outbox.tick()
    post.now += RETRY_S
    await post.outbox.tick()
    assert post.server.posts == 1
    assert await post.database.read(store.unsent, post.now) == []


async def test_a_restart_between_post_and_note_posts_nothing_twice(post: Post) -> None:
    await post.say("a", "a")
    await post.chat.post(THREAD, Message("a", "a"))
    await Outbox(post.database, FakeChat(post.server), lambda: post.now).tick()
    assert post.server.posts == 1


async def test_a_platform_that_asks_to_wait_is_obeyed(post: Post) -> None:
    post.server.failures.append(TryLater(30))
    await post.say("a", "a")
    await post.say("b", "b")
    await post.outbox.tick()
    post.now += 29
    await post.outbox.tick()
    assert post.texts() == []
    post.now += 1
    await post.outbox.tick()
    assert post.texts() == ["a", "b"]


async def test_a_failing_thread_holds_up_no_other(post: Post) -> None:
    post.server.failures.append(ConnectionError("down"))
    await post.say("a", "a")
    await post.say("b", "b")
    await post.say("c", "c", Place("C2"))
    await post.outbox.tick()
    assert post.texts() == ["c"]
    post.now += RETRY_S
    await post.outbox.tick()
    assert post.texts() == ["c", "a", "b"]


@pytest.mark.parametrize("closed", [True, False])
async def test_a_place_that_is_closed_to_us_is_given_up_and_the_rest_goes_on(post: Post, closed: bool) -> None:
    if closed:
        post.server.closed.add(THREAD.id)
    else:
        post.server.failures.append(Denied("chat:write"))
    await post.say("a", "a")
    await post.say("b", "b", Place("C2"))
    await post.outbox.tick()
    post.now += 3600
    await post.outbox.tick()
    assert post.texts() == ["b"]


async def test_edits_wait_for_the_pace_and_only_the_newest_is_sent(post: Post) -> None:
    post.chat.pace_s = 2.0
    await post.say("a", "step 0")
    await post.outbox.tick()
    for step in range(1, 20):
        post.now += 0.5
        await post.say("a", f"step {step}")
        await post.outbox.tick()
    assert [message.text for _, message in post.server.edits] == ["step 4", "step 8", "step 12", "step 16"]


async def test_an_edit_that_waits_holds_back_no_new_message(post: Post) -> None:
    post.chat.pace_s = 60.0
    await post.say("live", "step 1")
    await post.outbox.tick()
    await post.say("live", "step 2")
    await post.say("final", "done")
    await post.outbox.tick()
    assert post.texts() == ["step 1", "done"]


async def test_a_message_that_the_platform_never_takes_holds_its_thread_back_for_a_minute_only(post: Post) -> None:
    post.server.unwanted.add("bad")
    await post.say("bad", "bad")
    await post.say("final", "done")
    for _ in range(int(STUCK_S / RETRY_S)):
        await post.outbox.tick()
        assert post.texts() == []
        post.now += RETRY_S
    for _ in range(2):
        await post.outbox.tick()
        post.now += RETRY_S
    assert post.texts() == ["done", "One of my messages could not be shown here; my log says why."]
    assert await post.database.read(store.unsent, post.now) == []


async def test_an_outage_costs_no_message_however_long(post: Post) -> None:
    await post.say("a", "a")
    await post.say("b", "b")
    for _ in range(100):
        post.server.failures += [ConnectionError("down"), ConnectionError("down")]
        await post.outbox.tick()
        post.server.failures.clear()
        post.now += 60
    await post.outbox.tick()
    assert post.texts() == ["a", "b"]
