"""Lines that a person types become what a person does."""

import io
from pathlib import Path

import pytest

from adapters.chat.console.typist import TypedConsole
from bot.chat import Button, Command, Incoming, Message, Place, Press, Upload
from engine.refusal import Refusal
from tests.adapters.console.test_console import screen


@pytest.fixture
def console(tmp_path: Path) -> TypedConsole:
    return TypedConsole(tmp_path / "console", screen(io.StringIO()), io.StringIO())


async def test_lines_become_commands_files_and_presses(console: TypedConsole, tmp_path: Path) -> None:
    (tmp_path / "my pairs.csv").write_text("text\nhi\n")
    console.keyboard = io.StringIO(f"/finetune sft epochs=2\n'{tmp_path}/my pairs.csv'\n\n2\n/quit\nnever\n")
    await console.post(Place("general/1"), Message("k", "?", buttons=(Button("A", "a:1"), Button("B", "b:2"))))
    got = []

    async def handler(incoming: Incoming) -> None:
        got.append(incoming.what)

    await console.listen(handler, "")
    assert got == [Command("sft epochs=2"), Upload(str(tmp_path / "my pairs.csv"), "my pairs.csv", 8), Press("b:2")]


async def test_a_new_thread_is_another_place(console: TypedConsole) -> None:
    console.do("/thread")
    console.do("/finetune help")
    incoming = await console.queue.get()
    assert incoming and incoming.place == Place("general/2")


@pytest.mark.parametrize(("line", "says"), [("7", "no button"), ("no-such.csv", "no-such.csv")])
def test_what_cannot_be_done_says_so(console: TypedConsole, line: str, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        console.do(line)


async def test_a_button_that_is_not_there_says_which_are(console: TypedConsole) -> None:
    await console.post(Place("general/1"), Message("k", "?", buttons=(Button("A", "a:1"),)))
    with pytest.raises(Refusal, match="1 to 1"):
        console.do("5")
