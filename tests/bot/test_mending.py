"""The button under a run that failed starts the mended run, once."""

from dataclasses import replace

from bot import store
from bot.chat import Incoming, Press
from bot.talk.answer import answer
from engine.jobs import Progress, Status
from tests.bot.test_repeats import ANN, FAILED, THREAD, Talk, talk

__all__ = ["talk"]
BATCH = {"batch_size": 4, "gradient_accumulation": 1, "lora": True, "learning_rate": 2e-3}
OUT_OF_MEMORY = replace(
    FAILED, spec=replace(FAILED.spec, parameters=BATCH), trouble="memory", progress=Progress(step=9, saved_step=5)
)


async def press(talk: Talk, action: str, key: str = "p1") -> str:
    await answer(talk.context, Incoming(key, THREAD, ANN, Press(action)))
    message = await talk.context.database.read(store.said, f"{key}/answer")
    assert message
    return message.text


async def test_a_press_starts_the_run_with_half_the_batch_from_the_checkpoint(talk: Talk) -> None:
    await talk.knows(OUT_OF_MEMORY)
    assert await press(talk, "mend:1:half") == "Run 2 goes on from the last checkpoint of run 1."
    run = await talk.run("2")
    assert (run.status, run.of, run.resumes) == (Status.queued, "1", True)
    assert dict(run.spec.parameters) == {**BATCH, "batch_size": 2, "gradient_accumulation": 2}


async def test_two_presses_start_one_run(talk: Talk) -> None:
    await talk.knows(OUT_OF_MEMORY)
    await press(talk, "mend:1:half")
    assert await press(talk, "mend:1:half", "p2") == "Run 2 was started in its place already."
    assert await press(talk, "mend:1:half") == "Run 2 goes on from the last checkpoint of run 1."


async def test_half_the_learning_rate_begins_anew_where_nothing_was_saved(talk: Talk) -> None:
    await talk.knows(replace(OUT_OF_MEMORY, trouble="nan", progress=Progress()))
    assert await press(talk, "mend:1:rate") == "Run 2 repeats run 1."
    assert (await talk.run("2")).spec.parameters["learning_rate"] == 1e-3


async def test_a_button_that_fits_no_more_says_so(talk: Talk) -> None:
    await talk.knows(replace(OUT_OF_MEMORY, status=Status.running))
    assert await press(talk, "mend:1:half") == "Run 1 is running, so that button mends nothing any more."
