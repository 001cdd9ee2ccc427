"""Asking a model and comparing runs: the words, what is said, and who is answered."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

import engine.store
from bot import store
from bot.chat import Command, Incoming, Message, Person, Place, Press
from bot.migrate import upgrade
from bot.settings import Settings
from bot.talk.answer import answer
from bot.talk.commands import parse
from bot.talk.context import Context
from bot.talk.runs import ask
from bot.talk.trying import Ask, Compare
from bot.wording import ask as words
from engine.database import Database
from engine.jobs import Answer, JobSpec, Model, Result, Run, Source, Status
from engine.refusal import Refusal
from engine.work.asking import questions
from engine.work.asking.questions import Question
from tests.fakes.chat import FakeChat, Server

ANN, THREAD = Person("U1", "ann"), Place("C1/1")
SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "a" * 64, {}), parameters={"epochs": 3, "lora": True})
RESULT = Result({"eval_loss": 1.5, "base_eval_loss": 2.5}, (Answer("why?", "dunno", "because"),), repo="team/name")
DONE = Run("", SPEC, status=Status.succeeded, done="push", result=RESULT)


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("ask 7 Why is  that so?", Ask("7", "Why is  that so?")),
        ("ask #7", Ask("7")),
        ("ask run-7 why", Ask("7", "why")),
        ("ask why", Ask("", "why")),
        ("ask", Ask("")),
        ("compare 3 run-5", Compare(("3", "5"))),
    ],
)
def test_words_become_what_is_asked(text: str, request_: Ask | Compare) -> None:
    assert parse(text) == request_


def test_a_comparison_wants_two_runs() -> None:
    with pytest.raises(Refusal, match="Which two runs"):
        parse("compare 3")


async def knows(context: Context, run: Run) -> str:
    def add(db: Connection) -> str:
        added = engine.store.add_run(db, run)
        store.watch(db, added.id, THREAD, ANN)
        return added.id

    return await context.database.write(add)


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[Context]:
    settings = Settings(_env_file=None, data=tmp_path)
    upgrade(settings.database)
    database = Database(settings.database)
    yield Context(settings, database, FakeChat(Server()), clock=lambda: 1.0)
    database.close()


async def said(context: Context, what: Command | Press | str, key: str = "k1") -> Message:
    """The answer to something, after the tick that tells how questions stand."""
    what = Command(what) if isinstance(what, str) else what
    await answer(context, Incoming(key, THREAD, ANN, what))
    await ask.tick(context)
    message = await context.database.read(store.said, f"{key}/answer")
    assert message
    return message


async def test_a_press_and_a_question_are_put_and_told_as_they_go_on(context: Context) -> None:
    run = await knows(context, DONE)
    assert "trainings come first" in (await said(context, Press(f"ask:{run}"))).text
    asked = await said(context, Press(f"ask:{run}", {"question": "why?"}), "k2")
    assert asked.text.startswith("“why?”")
    for question in (each for each in await context.database.read(questions.at_work) if each.text):
        await context.database.write(questions.save, questions.answered(question, "dunno", "because\nso"))
    await ask.tick(context)
    message = await context.database.read(store.said, "k2/answer")
    assert message and message.table
    assert message.table.columns == ("Before (some/model)", "After (run 1)")
    assert message.table.rows == (("dunno", "because so"),)
    assert await context.database.read(questions.untold) == []


async def test_a_question_without_a_number_goes_to_the_model_of_the_thread(context: Context) -> None:
    assert "No model was trained in this thread" in (await said(context, "ask why?")).text
    await knows(context, DONE)
    await said(context, "ask why?", "k2")
    (question,) = await context.database.read(questions.at_work)
    assert (question.run, question.text) == ("1", "why?")


async def test_while_a_model_is_asked_any_other_words_are_a_question_to_it(context: Context) -> None:
    await knows(context, DONE)
    with pytest.raises(Refusal, match="I do not know `tell`"):
        await ask.understood(context, Incoming("k0", THREAD, ANN, Command("tell me more")), "tell me more")
    await said(context, "ask 1 why?")
    await said(context, "tell me more", "k2")
    assert [question.text for question in await context.database.read(questions.at_work)] == ["why?", "tell me more"]
    elsewhere = Incoming("k3", Place("C2/1"), ANN, Command("tell me more"))
    with pytest.raises(Refusal, match="I do not know"):
        await ask.understood(context, elsewhere, "tell me more")


async def test_what_cannot_be_asked_is_refused_in_words(context: Context) -> None:
    run = await knows(context, replace(DONE, status=Status.failed, done="fetch"))
    assert "has no trained model to ask: it is failed" in (await said(context, f"ask {run} why?")).text
    assert "no run 9" in (await said(context, "ask 9 why?", "k2")).text
    done = await knows(context, DONE)
    assert "4,000 characters" in (await said(context, f"ask {done} " + "x" * 4001, "k3")).text
    for number in range(5):
        await said(context, f"ask {done} why?", f"q{number}")
    assert "5 questions wait" in (await said(context, f"ask {done} why?", "k4")).text


async def test_a_thing_that_is_delivered_twice_is_asked_once(context: Context) -> None:
    await knows(context, DONE)
    await said(context, "ask 1 why?")
    await said(context, "ask 1 why?")
    assert len(await context.database.read(questions.at_work)) == 1


async def test_two_runs_stand_in_one_table(context: Context) -> None:
    await knows(context, DONE)
    longer = replace(SPEC, parameters={"epochs": 5, "lora": True}, train=replace(SPEC.train, sha256="b" * 64))
    other = replace(RESULT, metrics={"eval_loss": 1.25}, answers=(Answer("why?", "dunno", "therefore"),))
    await knows(context, replace(DONE, spec=longer, result=other))
    message = await said(context, "compare 1 2")
    assert message.table and message.table.columns == ("", "Run 1", "Run 2")
    rows = {first: rest for first, *rest in message.table.rows}
    assert rows["epochs"] == ["3", "5"]
    assert "lora" not in rows
    assert rows["Held-out loss"] == ["2.5 → 1.5", "1.25"]
    assert rows["“why?”"] == ["because", "therefore"]
    assert "different rows" in message.text
    assert [button.action for button in message.buttons] == ["ask:1:2"]
    await said(context, Press("ask:1:2", {"question": "why?"}), "k3")
    asked = [(question.key, question.run) for question in await context.database.read(questions.at_work)]
    assert asked == [("k3/answer", "1"), ("k3/answer-2", "2")]
    assert "no run 9" in (await said(context, "compare 1 9", "k2")).text


async def test_two_runs_without_a_prompt_in_common_are_put_the_same_ones_in_one_table(context: Context) -> None:
    await knows(context, DONE)
    await knows(context, replace(DONE, result=replace(RESULT, answers=(Answer("how?", "so", "thus"),))))
    message = await said(context, "compare 1 2")
    assert [button.action for button in message.buttons] == ["both:1:2", "ask:1:2"]
    filling = await said(context, Press("both:1:2"), "k2")
    assert filling.text.startswith("2 prompts put to both, 4 answers to come.")
    asked = await context.database.read(questions.at_work)
    assert [(question.run, question.text, question.group) for question in asked] == [
        ("1", "why?", "k2/answer"), ("1", "how?", "k2/answer"), ("2", "why?", "k2/answer"), ("2", "how?", "k2/answer"),
    ]  # fmt: skip
    for question in asked:
        await context.database.write(questions.save, questions.answered(question, "dunno", f"{question.run} says"))
    await ask.tick(context)
    full = await context.database.read(store.said, "k2/answer")
    assert full and full.table and full.buttons == ()
    rows = {first: rest for first, *rest in full.table.rows}
    assert rows["“why?”"] == rows["“how?”"] == ["1 says", "2 says"]
    assert rows["Held-out loss"] and rows["Data"]
    assert full.text.startswith("2 prompts put to both, 0 answers to come.")


async def test_runs_that_answer_in_other_ways_are_not_put_the_same_prompts(context: Context) -> None:
    await knows(context, DONE)
    await knows(context, replace(DONE, spec=replace(SPEC, method="reward")))
    assert "no prompts that both could answer" in (await said(context, Press("both:1:2"))).text
    await knows(context, replace(DONE, status=Status.failed, done="fetch"))
    assert "need a trained model" in (await said(context, Press("both:1:3"), "k2")).text


def test_runs_without_a_prompt_in_common_say_how_to_ask_both() -> None:
    other = replace(DONE, id="2", result=replace(RESULT, answers=()))
    assert "no prompt in common" in words.compared("k", replace(DONE, id="1"), other).text


@pytest.mark.parametrize(
    ("state", "says", "button"),
    [
        ("waiting", "trainings come first", ""),
        ("loading", "I load it beside its base", ""),
        ("ready", "`/finetune ask 7 your question`", "Ask"),
        ("unloaded", "Nobody asked", "Try it again"),
        ("failed", "Nobody asked", ""),
    ],
)
def test_each_state_of_a_model_to_try_is_said(state: str, says: str, button: str) -> None:
    question = Question("k", "7", "C1/1", "", 0.0, state, reason="Nobody asked anything for 5 minutes.")
    message = words.asked(replace(DONE, id="7"), question)
    assert says in message.text
    assert [each.label for each in message.buttons] == ([button] if button else [])
