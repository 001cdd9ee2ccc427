"""Questions reach an attempt of their run, come back answered, and make way for trainings."""

import json

from engine.executor import Handle
from engine.work.asking import QUESTIONS, questions
from engine.work.asking.questions import Question
from tests.engine.work.house import House

DONE = {"metrics": {}, "train_s": 1.0}


async def trained(house: House, run: str = "1") -> None:
    """A run that is over, with its model here."""
    await house.queue()
    await house.tick()
    await house.finish("fetch-1", run)
    await house.finish("train-1", run, **DONE)
    await house.finish("push-1", run, repo="team/name")


async def put(house: House, key: str, text: str = "why?", run: str = "1") -> None:
    await house.database.write(questions.put, Question(key, run, "C1/1", text, house.now))


async def how(house: House) -> list[tuple[str, str]]:
    """Key and state of each question that people were not told of yet."""
    return [(question.key, question.state) for question in await house.database.read(questions.untold)]


def written(house: House, attempt: str = "ask-1") -> list[str]:
    path = house.folder / "runs" / "1" / "attempts" / attempt / QUESTIONS
    return [json.loads(line)["text"] for line in path.read_text().splitlines()]


async def test_a_question_is_put_to_a_new_attempt_and_its_answer_comes_back(house: House) -> None:
    await trained(house)
    await put(house, "q1")
    await house.tick()
    assert written(house) == ["why?"]
    child = house.trainer.child("1", "ask-1")
    child.say("started")
    child.say("answered", key="q1", base="no", tuned="yes")
    await house.tick()
    (question,) = await house.database.read(questions.untold)
    assert (question.state, question.base, question.tuned, question.attempt) == ("answered", "no", "yes", "ask-1")
    await put(house, "q2", "and then?")
    await house.tick()
    assert written(house) == ["why?", "and then?"]
    assert house.trainer.submits == ["1/train-1", "1/ask-1"]


async def test_who_wants_to_try_is_told_when_it_is_loaded_and_when_it_was_unloaded(house: House) -> None:
    await trained(house)
    await put(house, "q1", "")
    await house.tick()
    assert await how(house) == [("q1", "loading")]
    child = house.trainer.child("1", "ask-1")
    child.say("started")
    await house.tick()
    assert await how(house) == [("q1", "ready")]
    assert await house.database.read(questions.asked_in, "C1/1") == "1"
    await put(house, "q2", "")
    await house.tick()
    assert await how(house) == [("q1", "ready"), ("q2", "ready")]
    child.say("finished")
    child.end()
    await house.tick()
    assert await how(house) == [("q1", "unloaded"), ("q2", "unloaded")]
    assert await house.database.read(questions.asked_in, "C1/1") == ""


async def test_a_thread_is_followed_while_its_model_is_loaded(house: House) -> None:
    await trained(house)
    await put(house, "q1")
    await house.tick()
    child = house.trainer.child("1", "ask-1")
    child.say("answered", key="q1", base="a", tuned="b")
    await house.tick()
    assert await house.database.read(questions.asked_in, "C1/1") == "1"
    assert await house.database.read(questions.asked_in, "C2/1") == ""
    child.say("finished")
    child.end()
    await house.tick()
    assert await house.database.read(questions.asked_in, "C1/1") == ""


async def test_a_training_ends_what_is_asked_and_the_question_is_answered_after_it(house: House) -> None:
    await trained(house)
    await put(house, "q1")
    await house.tick()
    asking = house.trainer.child("1", "ask-1")
    await house.queue()
    await house.tick()
    assert asking.is_running and not asking.wishes  # while the second run only fetches, the place is free
    await house.finish("fetch-1", "2")
    assert asking.wishes
    assert set(asking.wishes) == {"drop"}
    assert "2/train-1" not in house.trainer.submits
    asking.say("stopped")
    asking.end()
    await house.tick(2)
    assert house.trainer.submits[-1] == "2/train-1"
    assert await how(house) == [("q1", "waiting")]
    await house.finish("train-1", "2", **DONE)
    await house.finish("push-1", "2", repo="team/other")
    await house.tick()
    assert house.trainer.submits[-1] == "1/ask-2"
    assert written(house, "ask-2") == ["why?"]


async def test_a_model_that_nobody_asks_makes_way_for_another(house: House) -> None:
    await trained(house)
    await trained(house, "2")
    await put(house, "q1")
    await house.tick()
    first = house.trainer.child("1", "ask-1")
    await put(house, "q2", run="2")
    await house.tick(2)
    assert not first.wishes  # it still answers
    first.say("answered", key="q1", base="a", tuned="b")
    await house.tick(2)
    assert set(first.wishes) == {"drop"}
    first.say("stopped")
    first.end()
    await house.tick(2)
    assert house.trainer.submits[-1] == "2/ask-1"
    assert await how(house) == [("q1", "answered"), ("q2", "loading")]


async def test_a_question_waits_for_a_training_that_runs_or_is_queued(house: House) -> None:
    await trained(house)
    await house.queue()
    await house.tick()
    await put(house, "q1")
    await house.tick(3)
    assert await how(house) == [("q1", "waiting")]
    assert Handle("trainer", "1/ask-1") not in house.trainer.children


async def test_an_attempt_that_breaks_says_why_and_the_next_question_starts_another(house: House) -> None:
    await trained(house)
    await put(house, "q1")
    await house.tick()
    child = house.trainer.child("1", "ask-1")
    child.say("failed", reason="The base model is not in the run's folder: fetch it again.", code="model")
    child.end(1)
    await house.tick()
    (question,) = await house.database.read(questions.untold)
    assert (question.state, question.reason) == ("failed", "The base model is not in the run's folder: fetch it again.")
    await put(house, "q2")
    await house.tick()
    house.trainer.child("1", "ask-2").end(-9)
    await house.tick()
    assert "out of memory" in (await house.database.read(questions.untold))[-1].reason


async def test_a_restart_of_the_bot_loses_no_question(house: House) -> None:
    await trained(house)
    await put(house, "q1")
    await house.tick()
    house.restart()
    house.trainer.child("1", "ask-1").say("answered", key="q1", base="a", tuned="b")
    await house.tick()
    assert await how(house) == [("q1", "answered")]
    assert written(house) == ["why?"]


async def test_a_run_whose_folder_was_removed_is_refused_in_words(house: House) -> None:
    await trained(house)
    (house.folder / "runs" / "1").rename(house.folder / "gone")
    await put(house, "q1")
    await house.tick()
    (question,) = await house.database.read(questions.untold)
    assert question.state == "failed" and "`/finetune retry 1`" in question.reason


async def test_what_was_told_is_told_again_only_once_it_has_changed(house: House) -> None:
    await put(house, "q1")
    (question,) = await house.database.read(questions.untold)
    await house.database.write(questions.told, question)
    assert await how(house) == []
    await house.database.write(questions.save, questions.answered(question, "a", "b"))
    await house.database.write(questions.told, question)
    assert await how(house) == [("q1", "answered")]
    await house.database.write(questions.forget, "1")
    assert await how(house) == []
