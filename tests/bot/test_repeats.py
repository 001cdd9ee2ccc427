"""Resume, retry and push make new runs that name the old one, or say why not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Command, Incoming, Person, Place
from bot.migrate import upgrade
from bot.settings import Settings
from bot.talk.answer import answer
from bot.talk.context import Context
from bot.talk.runs import progress
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source, Status, Target
from tests.fakes.chat import FakeChat, Server

ANN, THREAD = Person("U1", "ann"), Place("C1/1")
SPEC = JobSpec(
    "sft",
    Model("some/model"),
    Source("rows.csv", "0" * 64, {"text": "text"}),
    parameters={"epochs": 3.0, "lora": True},
    target=Target("team/name"),
    requester="U1",
)


class Talk:
    """A conversation about one run."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.said = 0

    async def knows(self, run: Run) -> None:
        await self.context.database.write(self._add, run)

    def _add(self, db: Connection, run: Run) -> None:
        added = engine.store.add_run(db, run)
        store.watch(db, added.id, THREAD, ANN)

    async def says(self, words: str) -> str:
        self.said += 1
        await answer(self.context, Incoming(f"k{self.said}", THREAD, ANN, Command(words)))
        message = await self.context.database.read(store.said, f"k{self.said}/answer")
        assert message
        return message.text

    async def run(self, run_id: str) -> Run:
        found = await self.context.database.read(engine.store.run, run_id)
        assert found
        return found


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    chosen = Settings(_env_file=None, data=tmp_path, max_queued=1)
    upgrade(chosen.database)
    database = Database(chosen.database)
    yield Talk(Context(chosen, database, FakeChat(Server()), lambda: 50.0))
    database.close()


FAILED = Run("", SPEC, status=Status.failed, attempt="train-3", done="fetch", reason="It died.", ended_at=9.0)


async def test_a_retry_is_a_new_run_with_what_was_changed(talk: Talk) -> None:
    await talk.knows(FAILED)
    assert await talk.says("retry 1 epochs=2") == "Run 2 repeats run 1."
    run = await talk.run("2")
    assert (run.status, run.of, run.resumes, run.queued_at) == (Status.queued, "1", False, 50.0)
    assert dict(run.spec.parameters) == {"epochs": 2.0, "lora": True}
    assert (await talk.run("1")).status is Status.failed
    watch = await talk.context.database.read(store.watch_of, "2")
    assert watch and (watch.place, watch.person) == (THREAD, ANN)


async def test_a_retry_that_was_answered_before_a_crash_is_not_done_twice(talk: Talk) -> None:
    await talk.knows(FAILED)
    await talk.says("retry 1")
    talk.said -= 1
    assert await talk.says("retry 1") == "Run 2 repeats run 1."
    assert await talk.context.database.read(engine.store.run, "3") is None


async def test_a_resume_needs_a_checkpoint(talk: Talk) -> None:
    await talk.knows(FAILED)
    assert await talk.says("resume 1") == "Run 1 left no checkpoint. `/finetune retry 1` begins anew."
    (talk.context.settings.runs / "1/checkpoints/checkpoint-5").mkdir(parents=True)
    assert await talk.says("resume 1") == "Run 2 goes on from the last checkpoint of run 1."
    assert (await talk.run("2")).resumes


async def test_a_push_wakes_a_held_run(talk: Talk) -> None:
    held = replace(FAILED, status=Status.trained, attempt="push-1", done="train", reason="No right.", held_at=5.0)
    await talk.knows(held)
    assert await talk.says("push 1") == "Run 1: I push its model again."
    assert ((await talk.run("1")).held_at, (await talk.run("1")).reason) == (0.0, "")


async def test_the_model_of_a_run_that_ended_is_pushed_by_a_new_one(talk: Talk) -> None:
    await talk.knows(replace(FAILED, status=Status.cancelled, attempt="train-1", done="train"))
    assert await talk.says("push 1") == "Run 2 pushes the model of run 1."
    run = await talk.run("2")
    assert (run.status, run.done, run.of) == (Status.trained, "train", "1")


async def test_a_model_that_stayed_here_is_pushed_once_a_token_is_set(talk: Talk) -> None:
    stayed = replace(SPEC, target=Target())
    await talk.knows(replace(FAILED, spec=stayed, status=Status.succeeded, done="train", reason=""))
    assert "set HF_TOKEN, HF_NAMESPACE" in await talk.says("push 1")
    able = {"hf_token": SecretStr("hf_x"), "hf_namespace": "acme"}
    talk.context = replace(talk.context, settings=talk.context.settings.model_copy(update=able))
    assert await talk.says("push 1") == "Run 2 pushes the model of run 1."
    run = await talk.run("2")
    assert (run.spec.target.repo, run.status) == ("acme/rows-sft-1970-01-01", Status.trained)


@pytest.mark.parametrize(
    ("run", "words", "says"),
    [
        (FAILED, "push 1", "no model to push"),
        (FAILED, "retry 1 model=other/model", "keeps its model"),
        (FAILED, "retry 1 epochs=many", "epochs"),
        (FAILED, "retry 7", "There is no run 7"),
        (replace(FAILED, status=Status.running), "retry 1", "is not over"),
        (replace(FAILED, status=Status.running), "push 1", "by itself"),
        (replace(FAILED, status=Status.succeeded, done="push"), "push 1", "on the Hub already"),
        (replace(FAILED, status=Status.succeeded, done="push"), "resume 1", "trained to its end"),
    ],
)
async def test_what_cannot_be_is_said(talk: Talk, run: Run, words: str, says: str) -> None:
    await talk.knows(run)
    assert says in await talk.says(words)
    assert await talk.context.database.read(engine.store.run, "2") is None


async def test_nobody_has_more_open_runs_than_allowed(talk: Talk) -> None:
    await talk.knows(FAILED)
    for _ in range(2):
        await talk.says("retry 1")
    assert "as many as one person may have" in await talk.says("retry 1")
    assert await talk.context.database.read(engine.store.run, "4") is None


async def test_a_model_that_waits_for_the_hub_is_told_once_and_pushed_when_somebody_wants_it(talk: Talk) -> None:
    waits = replace(
        FAILED, status=Status.trained, attempt="push-1", done="train", reason="", away_since=5.0, due_at=90.0
    )
    await talk.knows(waits)
    await progress.tick(talk.context)
    first = await talk.context.database.read(store.said, "run/1/away")
    assert first and [button.action for button in first.buttons] == ["push:1"]
    later = replace(await talk.run("1"), attempt="push-7", due_at=9000.0)
    await talk.context.database.write(engine.store.save_run, later)
    await progress.tick(talk.context)
    assert await talk.context.database.read(store.said, "run/1/away") == first
    assert await talk.says("push 1") == "Run 1: I push its model again."
    assert ((await talk.run("1")).due_at, (await talk.run("1")).away_since) == (0.0, 0.0)
