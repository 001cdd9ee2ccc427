"""Lines that a person types become what a person does."""

import io
from pathlib import Path

import pytest

from adapters.chat.console.typist import TypedConsole
from bot.chat import Button, Command, Field, Incoming, Message, Place, Press, Upload
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


FORM = Button("Fill in", "fill:1", form=(Field("gap0", "Line 2", "old"), Field("gap1", "Column", choices=("a", "b"))))


async def test_a_form_is_asked_field_by_field(console: TypedConsole) -> None:
    await console.post(Place("general/1"), Message("k", "?", buttons=(FORM,)))
    for line in ("1", "new", "2"):
        console.do(line)
    incoming = await console.queue.get()
    assert incoming and incoming.what == Press("fill:1", {"gap0": "new", "gap1": "b"})


async def test_an_empty_line_keeps_what_a_field_holds_and_a_wrong_choice_is_asked_again(console: TypedConsole) -> None:
    await console.post(Place("general/1"), Message("k", "?", buttons=(FORM,)))
    console.do("1")
    console.do("")
    with pytest.raises(Refusal, match="1 to 2"):
        console.do("7")
    console.do("a")
    incoming = await console.queue.get()
    assert incoming and incoming.what == Press("fill:1", {"gap0": "old", "gap1": "a"})


async def test_a_form_is_left_without_sending_it(console: TypedConsole) -> None:
    await console.post(Place("general/1"), Message("k", "?", buttons=(FORM,)))
    for line in ("1", "/stop", "/finetune help"):
        console.do(line)
    incoming = await console.queue.get()
    assert incoming and incoming.what == Command("help")
