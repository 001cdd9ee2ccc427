"""What was said is kept: once each, in order, and together with what follows from it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import store
from bot.chat import Button, Command, File, Incoming, Message, MessageId, Person, Place, Press, Table, Upload
from bot.migrate import upgrade
from bot.store import Draft, ThreadFile
from bot.talk.commands import Plan
from engine.database import Database
from engine.jobs import JobSpec, Model, Source

ANN = Person("U1", "ann")
THREAD = Place("C1/1")


@pytest.fixture
async def database(any_url: str) -> AsyncIterator[Database]:
    upgrade(any_url)
    database = Database(any_url)
    yield database
    database.close()


@pytest.mark.parametrize("what", [Command("sft"), Press("start:1"), Upload("f1", "pairs.csv", 12)])
async def test_what_arrives_comes_out_of_the_inbox_as_it_was(
    database: Database, what: Command | Press | Upload
) -> None:
    incoming = Incoming("k1", THREAD, ANN, what)
    assert await database.write(store.receive, incoming, 1.0)
    assert await database.read(store.unanswered) == [incoming]


async def test_what_arrives_twice_is_stored_once(database: Database) -> None:
    incoming = Incoming("k1", THREAD, ANN, Command("sft"))
    assert await database.write(store.receive, incoming, 1.0)
    assert not await database.write(store.receive, incoming, 2.0)
    await database.write(store.answered, "k1", 3.0)
    assert not await database.write(store.receive, incoming, 4.0)
    assert await database.read(store.unanswered) == []


async def test_a_draft_is_taken_once_and_only_where_it_lies(database: Database) -> None:
    spec = JobSpec("sft", Model("org/base"), Source("a.csv", "0" * 64, {"text": "text"}), parameters={"epochs": 2.0})
    draft = Draft("d1", "draft/d1", Plan("sft", options={"epochs": "2"}), spec)
    await database.write(store.add_draft, THREAD, draft, 1.0)
    assert await database.write(store.take_draft, "d1", Place("C1/2")) is None
    assert await database.write(store.take_draft, "d1", THREAD) == draft
    assert await database.write(store.take_draft, "d1", THREAD) is None


async def test_the_latest_file_of_a_thread_comes_first(database: Database) -> None:
    for at, name in enumerate(("a", "b", "a")):
        await database.write(store.add_file, THREAD, ThreadFile(name * 64, f"{name}.csv"), float(at))
    assert [file.name for file in await database.read(store.files, THREAD)] == ["a.csv", "b.csv"]
    assert await database.read(store.files, Place("C1/2")) == []


async def test_a_request_waits_for_its_file_once(database: Database) -> None:
    await database.write(store.set_pending, THREAD, "dpo")
    await database.write(store.set_pending, THREAD, "sft epochs=2")
    assert await database.write(store.take_pending, THREAD) == "sft epochs=2"
    assert await database.write(store.take_pending, THREAD) == ""


async def test_saying_the_same_again_sends_nothing(database: Database) -> None:
    message = Message(
        "k", "hi", table=Table(("a",), (("b",),)), files=(File("x", Path("y")),), buttons=(Button("a", "b"),)
    )
    await database.write(store.say, THREAD, message)
    (letter,) = await database.read(store.unsent, 1.0)
    assert letter.message == message
    await database.write(store.sent, letter, MessageId("m1"), 1.0)
    await database.write(store.say, THREAD, message)
    assert await database.read(store.unsent, 2.0) == []


async def test_newer_content_replaces_what_was_not_sent_yet(database: Database) -> None:
    for text in ("one", "two", "three"):
        await database.write(store.say, THREAD, Message("k", text))
    (letter,) = await database.read(store.unsent, 1.0)
    assert letter.message.text == "three"


async def test_content_that_changed_while_it_was_sent_is_sent_again(database: Database) -> None:
    await database.write(store.say, THREAD, Message("k", "one"))
    (letter,) = await database.read(store.unsent, 1.0)
    await database.write(store.say, THREAD, Message("k", "two"))
    await database.write(store.sent, letter, MessageId("m1"), 1.0)
    (later,) = await database.read(store.unsent, 2.0)
    assert (later.id, later.message.text) == ("m1", "two")


async def test_a_thread_waits_behind_its_first_letter_and_others_do_not(database: Database) -> None:
    for place, key in ((THREAD, "a"), (THREAD, "b"), (Place("C2"), "c")):
        await database.write(store.say, place, Message(key, key))
    first, *_ = await database.read(store.unsent, 1.0)
    await database.write(store.postpone, first, 10.0)
    assert [letter.message.key for letter in await database.read(store.unsent, 1.0)] == ["c"]
    assert [letter.message.key for letter in await database.read(store.unsent, 11.0)] == ["a", "b", "c"]


async def test_the_cursor_of_each_chat_is_kept(database: Database) -> None:
    assert await database.read(store.cursor, "console") == ""
    for cursor in ("1", "2"):
        await database.write(store.save_cursor, "console", cursor)
    assert await database.read(store.cursor, "console") == "2"


async def test_a_run_is_told_to_its_end_once(database: Database) -> None:
    await database.write(store.watch, "7", THREAD, ANN)
    assert [watch.run for watch in await database.read(store.watched)] == ["7"]
    await database.write(store.told, "7")
    assert await database.read(store.watched) == []
    watch = await database.read(store.watch_of, "7")
    assert watch and watch.place == THREAD and watch.person == ANN
