"""The console as a chat platform, and what it shows."""

import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console as Terminal

from adapters.chat.console.chat import Console
from adapters.chat.console.screen import Screen
from bot.chat import Button, Chat, Command, File, Message, Person, Place, Press, Table, Upload
from engine.refusal import Refusal
from tests.contract.chat import ChatContract, Platform


def screen(out: io.StringIO, is_terminal: bool = False) -> Screen:
    return Screen(
        console=Terminal(file=out, force_terminal=is_terminal, width=100, color_system=None, legacy_windows=False)
    )


class ConsolePlatform(Platform):
    """One person sits before a console, so nobody else sees a private message."""

    place, gone = Place("general/1"), Place("nowhere")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.consoles: list[Console] = []
        self.ann, self.bob = self._console().me, Person("bob", "bob")

    def _console(self) -> Console:
        self.consoles.append(Console(self.folder / "console", screen(io.StringIO()), "ann"))
        return self.consoles[-1]

    def adapter(self) -> Chat:
        return self._console()

    async def does(self, what: Command | Press | Upload) -> str:
        return self.consoles[-1]._type(self.place, what).key

    async def fills_in(self, button: Button, values: Mapping[str, str]) -> bool:
        await self.does(Press(button.action, values))
        return True

    def seen_by(self, person: Person) -> list[Message]:
        seen = [posted.message for console in self.consoles for posted in console.posted.values()]
        return seen if person == self.ann else [message for message in seen if not message.only_for]

    def acknowledged(self) -> list[str]:
        return [f"console/{number}" for number in range(1, max(c.handed_over for c in self.consoles) + 1)]

    def refusals(self) -> list[str]:
        return [message.text for message in self.seen_by(self.ann) if message.key.endswith("/refusal")]

    def file(self, content: bytes) -> Upload:
        path = self.folder / "pairs.csv"
        path.write_bytes(content)
        return Upload(str(path), path.name, len(content))

    def closed_file(self) -> Upload:
        return Upload(str(self.folder), "folder", 3)


class TestConsole(ChatContract):
    @pytest.fixture
    def platform(self, tmp_path: Path) -> Platform:
        return ConsolePlatform(tmp_path)


async def test_a_message_shows_all_its_parts(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(tmp_path, screen(out), "ann")
    picture = tmp_path / "a.png"
    picture.write_bytes(b"png")
    table = Table(("Line", "What"), (("3", "empty cell"),))
    message = Message(
        "k", "All is well.", "Run 1", (("Rows", "12"),), table, "the code", (Button("Start", "start:1"),),
        (File("loss.png", picture),), (console.me,),
    )  # fmt: skip
    await console.post(Place("general/1"), message)
    for part in (
        "#general/1",
        "Run 1",
        "@ann All is well.",
        "Rows",
        "12",
        "empty cell",
        "the code",
        "[1] Start",
        "loss.png",
    ):
        assert part in out.getvalue()
    assert (tmp_path / "files" / "loss.png").read_bytes() == b"png"


async def test_nothing_in_a_message_can_format_or_move_the_cursor(tmp_path: Path) -> None:
    out = io.StringIO()
    await Console(tmp_path, screen(out), "ann").post(
        Place("general"), Message("k", "[bold]x[/bold] \x1b[2J \u202e \u2066")
    )
    assert "[bold]x[/bold]" in out.getvalue()
    assert "\\u001b[2J" in out.getvalue()
    assert not {"\x1b", "\u202e", "\u2066"} & set(out.getvalue())


async def test_without_a_terminal_an_edit_is_a_line_when_its_title_changes(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(tmp_path, screen(out), "ann")
    posted = await console.post(Place("general"), Message("k", "x", title="Run 1 · queued"))
    before = len(out.getvalue().splitlines())
    for step in range(1, 9):
        await console.edit(posted, Message("k", "x", title="Run 1 · training", fields=(("Step", str(step)),)))
    assert out.getvalue().splitlines()[before:] == ["Run 1 · training — Step 1"]
    assert console.posted[posted].edits == 8


async def test_at_a_terminal_the_living_message_is_edited_in_place(tmp_path: Path) -> None:
    out = io.StringIO()
    console = Console(tmp_path, screen(out, is_terminal=True), "ann")
    posted = await console.post(Place("general"), Message("k", "step 1"))
    await console.edit(posted, Message("k", "step 2"))
    console.screen.settle()
    assert "\x1b[1A" in out.getvalue() or "\x1b[2K" in out.getvalue()
    assert out.getvalue().rfind("step 2") > out.getvalue().rfind("step 1")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no-such-file"):
        Console(tmp_path, screen(io.StringIO()), "ann").drop(Place("general"), tmp_path / "no-such-file")


async def test_the_picture_shows_each_message_once_as_it_ended(tmp_path: Path) -> None:
    console = Console(tmp_path, screen(io.StringIO()), "ann")
    console.screen.note("ann drops pairs.csv")
    posted = await console.post(Place("general"), Message("k", "half way"))
    await console.edit(posted, Message("k", "all done"))
    console.screen.picture(tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text().replace("&#160;", " ")
    assert "all done" in svg and "half way" not in svg and "ann drops pairs.csv" in svg
    assert "http" not in svg.replace("http://www.w3.org", "")
