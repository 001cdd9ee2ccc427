"""The button that shows the rows of a run that failed."""

from dataclasses import replace

from bot.chat import Press
from bot.talk.context import Context
from engine.folder import REJECTED
from engine.jobs import Run, Status
from tests.bot.test_ask import SPEC, context, knows, said

__all__ = ["context"]
FAILED = Run("", replace(SPEC, method="sft"), status=Status.failed, attempt="train-1", done="fetch", trouble="data")


async def test_the_rows_that_the_training_listed_come_as_a_file(context: Context) -> None:
    number = await knows(context, FAILED)
    folder = context.settings.runs / number / "attempts" / "train-1"
    folder.mkdir(parents=True)
    (folder / REJECTED).write_text('{"row": 3}\n{"row": 5}\n')
    message = await said(context, Press(f"rows:{number}"))
    assert message.text == f"2 rows of run {number}, each with its number in the file and why it stands here."
    assert [file.name for file in message.files] == [f"run-{number}-rows.jsonl"]


async def test_without_such_a_list_the_check_is_asked(context: Context) -> None:
    number = await knows(context, FAILED)
    assert "file" in (await said(context, Press(f"rows:{number}"))).text
