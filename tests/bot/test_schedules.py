"""Runs that start later or again and again: shown first, saved by a click, started once for each time."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Command, Incoming, Message, Person, Place, Press
from bot.migrate import upgrade
from bot.settings import Settings
from bot.talk.answer import answer
from bot.talk.context import Context
from bot.talk.runs import revoked, schedules
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source, Status, Target
from tests.fakes.chat import FakeChat, Server

ANN, BOB, THREAD = Person("U1", "ann"), Person("U2", "bob"), Place("C1/1")
SPEC = JobSpec(
    "sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}), target=Target("t/n"), requester="U1"
)
DONE = Run("", SPEC, status=Status.succeeded, attempt="push-1", done="push", ended_at=9.0)
DAY_S = 86400.0


class Talk:
    """A conversation, at a time that the test sets."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC).timestamp()
        self.chat = FakeChat(Server())
        self.context = Context(settings, database, self.chat, lambda: self.now)
        self.count = 0

    async def knows(self, run: Run) -> None:
        await self.context.database.write(self._add, run)

    def _add(self, db: Connection, run: Run) -> None:
        store.watch(db, engine.store.add_run(db, run).id, THREAD, ANN)

    async def does(self, what: Command | Press, person: Person = ANN, place: Place = THREAD) -> str:
        """What the bot answers, or nothing where it only changes a message."""
        self.count += 1
        await answer(self.context, Incoming(f"k{self.count}", place, person, what))
        message = await self.message(f"k{self.count}/answer")
        return message.text if message else ""

    async def says(self, words: str, person: Person = ANN, place: Place = THREAD) -> str:
        return await self.does(Command(words), person, place)

    async def message(self, key: str) -> Message | None:
        return await self.context.database.read(store.said, key)

    async def shown(self, key: str) -> Message:
        message = await self.message(key)
        assert message
        return message

    async def ticks_at(self, now: float) -> None:
        self.now = now
        await schedules.tick(self.context)

    async def runs(self) -> list[Run]:
        return list(reversed(await self.context.database.read(engine.store.recent_runs, 100)))


@pytest.fixture
async def talk(any_url: str, tmp_path: Path) -> AsyncIterator[Talk]:
    settings = Settings(_env_file=None, data=tmp_path, database_url=any_url, max_queued=3, admins="U9")
    upgrade(settings.database)
    database = Database(settings.database)
    yield Talk(settings, database)
    database.close()


async def test_a_schedule_is_shown_in_words_before_it_is_saved(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 0 9 * * 1 Europe/Berlin")
    message = await talk.shown("schedule/1")
    assert "A run like run 1 starts every Monday at 09:00 (Europe/Berlin)." in message.text
    assert message.fields[0][1].startswith("Mon 30 Nov 2026 09:00 CET, Mon 07 Dec 2026 09:00 CET")
    assert [button.label for button in message.buttons] == ["Save", "Discard"]
    assert "Nothing is scheduled here." in await talk.says("schedules")
    await talk.ticks_at(talk.now + 30 * DAY_S)
    assert len(await talk.runs()) == 1


async def test_a_saved_schedule_starts_a_run_each_time_and_once(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    await talk.does(Press("schedule:1"))
    assert (await talk.shown("schedule/1")).buttons == ()
    at = datetime(2026, 11, 25, 2, 0, tzinfo=UTC).timestamp()
    await talk.ticks_at(at - 1)
    assert len(await talk.runs()) == 1
    for _ in range(3):
        await talk.ticks_at(at + 1)
    _, run = await talk.runs()
    assert (run.id, run.of, run.status, run.spec.requester) == ("2", "1", Status.queued, "U1")
    assert await talk.context.database.read(store.watch_of, "2")
    assert "Run 2 repeats run 1" in (await talk.shown(f"schedule/1/{at:.0f}")).text
    await talk.ticks_at(at + DAY_S)
    assert [run.id for run in await talk.runs()] == ["1", "2", "3"]


async def test_times_that_passed_while_the_bot_was_away_start_one_run(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    for _ in range(2):
        await talk.ticks_at(talk.now + 5.5 * DAY_S)
    assert [run.id for run in await talk.runs()] == ["1", "2", "3"]


async def test_no_time_of_a_schedule_starts_two_runs(talk: Talk) -> None:
    """The table holds it, whoever asks: here the schedule's next time is put back by hand."""
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    before = await talk.context.database.read(store.schedule, "1")
    assert before
    await talk.ticks_at(before.next_at)
    await talk.context.database.write(store.save_schedule, before)
    await talk.ticks_at(before.next_at)
    assert [run.id for run in await talk.runs()] == ["1", "2"]


async def test_a_queued_run_waits_for_its_time_and_is_queued_then(talk: Talk) -> None:
    await talk.knows(Run("", SPEC, queued_at=1.0))
    await talk.says("schedule 1 at 02:00 Europe/Berlin")
    assert "Run 1 starts once, at 02:00 (Europe/Berlin)." in (await talk.shown("schedule/1")).text
    await talk.does(Press("schedule:1"))
    (run,) = await talk.runs()
    assert (run.status, run.reason) == (
        Status.waiting,
        "It starts at Wed 25 Nov 2026 02:00 CET, by schedule 1.",
    )
    await talk.ticks_at(talk.now + DAY_S)
    (run,) = await talk.runs()
    assert (run.status, run.reason) == (Status.queued, "")
    assert "Nothing is scheduled here." in await talk.says("schedules")


async def test_ending_a_schedule_that_happens_once_ends_its_run(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 at 02:00")
    await talk.does(Press("schedule:1"))
    assert (await talk.runs())[1].status is Status.waiting
    assert "Schedule 1 is over" in await talk.says("unschedule 1")
    assert (await talk.runs())[1].cancel == "drop"


async def test_who_lost_the_right_to_start_starts_nothing_more(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    talk.context = replace(talk.context, settings=talk.context.settings.model_copy(update={"may_start": "U2"}))
    await talk.ticks_at(talk.now + DAY_S)
    assert len(await talk.runs()) == 1
    at = datetime(2026, 11, 25, 2, 0, tzinfo=UTC).timestamp()
    message = await talk.shown(f"schedule/1/{at:.0f}")
    assert "started nothing this time. Starting runs is for others here" in message.text
    assert message.mentions == (ANN,)


async def test_a_full_queue_passes_a_time_over_and_says_so(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    for _ in range(4):
        await talk.knows(Run("", SPEC))
    await talk.ticks_at(talk.now + DAY_S)
    assert len(await talk.runs()) == 5
    at = datetime(2026, 11, 25, 2, 0, tzinfo=UTC).timestamp()
    assert "You have 4 runs that are not over" in (await talk.shown(f"schedule/1/{at:.0f}")).text


async def test_a_schedule_is_its_owners_and_known_in_its_place(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("schedule:1"))
    assert "1 schedule." in await talk.says("schedules", BOB)
    assert "Nothing is scheduled here." in await talk.says("schedules", BOB, Place("C2/1"))
    assert "There is no schedule 1." in await talk.says("unschedule 1", BOB, Place("C2/1"))
    assert "Schedule 1 is ann's" in await talk.says("unschedule 1", BOB)
    assert "Schedule 1 is over" in await talk.says("unschedule 1", Person("U9", "eve"))


async def test_the_queue_says_what_runs_and_when_the_next_starts(talk: Talk) -> None:
    assert await talk.says("queue") == "Nothing runs and nothing waits."
    await talk.knows(Run("", SPEC, status=Status.running, started_at=talk.now - 60, estimate_s=3660.0))
    await talk.knows(Run("", SPEC, estimate_s=60.0))
    assert await talk.says("queue") == "1 running, 1 queued."
    table = (await talk.shown(f"k{talk.count}/answer")).table
    assert table and [row[-1] for row in table.rows] == ["", "starts in about 1 h 0 min"]
    await talk.says("queue", BOB, Place("C2/1"))
    table = (await talk.shown(f"k{talk.count}/answer")).table
    assert table and [row[2] for row in table.rows] == ["a run of another place"] * 2


async def test_a_queued_run_of_who_may_no_longer_start_is_cancelled_and_that_is_said(talk: Talk) -> None:
    await talk.knows(Run("", SPEC))
    await revoked.tick(talk.context)
    assert (await talk.runs())[0].cancel == ""
    for allowed, wish in (("U1", ""), ("U2", "drop")):
        settings = talk.context.settings.model_copy(update={"may_start": allowed})
        talk.context = replace(talk.context, settings=settings)
        for _ in range(2):
            await revoked.tick(talk.context)
        assert (await talk.runs())[0].cancel == wish
    assert "ann may no longer start runs" in (await talk.shown("run/1/revoked")).text


async def test_what_cannot_be_scheduled_is_said(talk: Talk) -> None:
    await talk.knows(DONE)
    assert "There is no run 8" in await talk.says("schedule 8 at 02:00")
    assert "no time of day" in await talk.says("schedule 1 at noon")
    assert "does not come any more" in await talk.says("schedule 1 at 2026-01-01 02:00")
    assert "There is no schedule 5." in await talk.says("unschedule 5")
    assert "Which schedule?" in await talk.says("unschedule")
    assert "`soon` is no run" in await talk.says("schedule soon")


async def test_a_discarded_schedule_is_no_schedule(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    await talk.does(Press("unschedule:1"))
    assert (await talk.shown("schedule/1")).title == "Discarded by ann"
    assert "an older version" not in await talk.does(Press("schedule:1"))
    assert "Nothing is scheduled here." in await talk.says("schedules")


async def test_the_tables_hold_that_a_time_fires_once(talk: Talk) -> None:
    await talk.knows(DONE)
    await talk.says("schedule 1 every day 02:00")
    found = await talk.context.database.read(store.schedule, "1")
    assert found
    assert await talk.context.database.write(store.add_fire, found, "2")
    assert not await talk.context.database.write(store.add_fire, found, "3")
    rows = await talk.context.database.read(lambda db: db.execute(sa.select(store.fires)).all())
    assert [row.run for row in rows] == ["2"]
