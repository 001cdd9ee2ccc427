"""How the console shows a message: as a box at a terminal, edited in place; as plain lines elsewhere."""

import io
import re
import sys
import time
import unicodedata
from collections.abc import Collection
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from bot.chat import Button, Message, Table

WIDTH = 110
LINE = 160
NEWS_S = 10.0


class Screen:
    """`can_edit` says whether a message can be changed where it stands; a person who types needs the last line."""

    def __init__(self, can_edit: bool | None = None, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stdout, highlight=False)
        self.can_edit = self.console.is_terminal if can_edit is None else can_edit
        if not self.console.is_terminal:
            self.console.width = WIDTH
        self.pace_s = 0.25 if self.can_edit else 1.0
        self.live: Live | None = None
        self.last = ""
        self.told_at = time.monotonic()
        self.titles: dict[str, str] = {}
        self.shown: dict[str, RenderableType] = {}

    def show(self, message_id: str, place: str, message: Message, edits: int) -> None:
        self.shown[message_id] = box = self._box(place, message)
        if not edits:
            self._post(message_id, box)
        elif self.live and self.last == message_id:
            self.live.update(box, refresh=True)
        elif self.titles.get(message_id) != message.title or self._is_news_due():
            self.console.print(_line(message), style="dim", soft_wrap=True)
            self.told_at = time.monotonic()
        self.titles[message_id] = message.title

    def _is_news_due(self) -> bool:
        """Somebody who types sees a living message move now and then; a file or a pipe gets a line per phase."""
        return self.console.is_terminal and time.monotonic() - self.told_at > NEWS_S

    def note(self, words: str) -> None:
        """A line that is no message: what the person does, or what goes on around the chat."""
        self.settle()
        self.shown[words] = note = Text(words, style="cyan")
        self.console.print(note)

    def settle(self) -> None:
        """Leave the last message as it stands."""
        if self.live:
            self.live.stop()
            self.live = None

    def picture(self, path: Path, names: Collection[str] = ()) -> None:
        """What was shown as it now stands, as an SVG: each message once, where it was posted.

        `names` are message ids and notes to show; everything if there are none.
        """
        paper = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
        for name, shown in self.shown.items():
            if not names or name in names:
                paper.print(shown)
        svg = paper.export_svg(title="threadtune", code_format=_without_fonts(CONSOLE_SVG_FORMAT))
        path.write_text(svg, encoding="utf-8")

    def _post(self, message_id: str, box: RenderableType) -> None:
        self.settle()
        self.last = message_id
        if self.can_edit:
            self.live = Live(box, console=self.console, auto_refresh=False)
            self.live.start(refresh=True)
        else:
            self.console.print(box)

    def _box(self, place: str, message: Message) -> RenderableType:
        title = Text(f"threadtune in #{place}", style="dim")
        parts = [part for part in _parts(message) if part]
        return Panel(
            Group(*parts), title=title, title_align="left", border_style="blue", width=min(self.console.width, WIDTH)
        )


def _without_fonts(template: str) -> str:
    """The SVG loads no font from anywhere: the reader's own fixed-width font does."""
    bare = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", template, flags=re.DOTALL)
    return bare.replace("Fira Code, ", "")


def clean(text: str) -> Text:
    """Text as it may be shown: nothing in it can format, and control and bidi characters stand as escapes."""
    return Text("".join(_shown(character) for character in text))


def _shown(character: str) -> str:
    if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
        return character
    return f"\\u{ord(character):04x}"


def _line(message: Message) -> Text:
    facts = " · ".join(f"{name} {value}" for name, value in message.fields)
    line = clean(" — ".join(filter(None, (message.title or message.text, facts))))
    line.truncate(LINE, overflow="ellipsis")
    return line


def _parts(message: Message) -> list[RenderableType | None]:
    title = clean(message.title)
    title.stylize("bold")
    return [
        clean(f"(only {message.only_for.name} sees this)") if message.only_for else None,
        title if message.title else None,
        clean(" ".join([*(f"@{person.name}" for person in message.mentions), message.text])) if message.text else None,
        _fields(message.fields) if message.fields else None,
        _grid(message.table) if message.table else None,
        Panel(clean(message.code), border_style="dim") if message.code else None,
        *(_file(file.name, file.path) for file in message.files),
        _buttons(message.buttons) if message.buttons else None,
    ]


def _fields(fields: tuple[tuple[str, str], ...]) -> Grid:
    grid = Grid.grid(padding=(0, 2))
    for name, value in fields:
        grid.add_row(Text(name, style="dim"), clean(value))
    return grid


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.title or None, title_justify="left", show_lines=False, border_style="dim")
    for column in table.columns:
        grid.add_column(column, overflow="fold")
    for row in table.rows:
        grid.add_row(*(clean(cell) for cell in row))
    return grid


def _file(name: str, path: Path) -> Text:
    return Text.assemble(("attached  ", "dim"), clean(name), (f"  {path}", "dim"))


def _buttons(buttons: tuple[Button, ...]) -> Text:
    return Text("  ".join(f"[{number}] {button.label}" for number, button in enumerate(buttons, 1)), style="bold green")
