"""`make chat`: the console with a person who types."""

import asyncio
import contextlib
import dataclasses
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from adapters.chat.console.chat import Console
from adapters.chat.console.local import settings
from adapters.chat.console.screen import Screen
from bot import log
from bot.app import make
from bot.chat import Button, Field, Handler, Place
from engine.refusal import Refusal

GUIDE = """Type the path of a CSV or JSONL to drop it, /finetune … to ask for a run, a number to press a button.
A button with a form asks field by field.
/thread opens a new thread, /quit leaves. For a start: examples/preferences.csv, then /finetune dpo max_steps=25."""


@dataclass
class Form:
    """A form that is being filled in, for the button that stands in `place`."""

    button: Button
    place: Place
    values: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def field(self) -> Field:
        """The field that is asked for now."""
        return self.button.form[len(self.values)]


def _chosen(field: Field, line: str) -> str:
    """What a line means in a field: a choice by its number, or the text. Raises Refusal for a choice that is none."""
    if not line:
        return field.value
    if not field.choices or line in field.choices:
        return line
    if line.isdigit() and 1 <= int(line) <= len(field.choices):
        return field.choices[int(line) - 1]
    raise Refusal(f"Choose by number, 1 to {len(field.choices)}.")


class TypedConsole(Console):
    """A console whose person types lines into `keyboard`; it ends with `/quit` or with the end of the input."""

    def __init__(self, folder: Path, screen: Screen, keyboard: TextIO = sys.stdin) -> None:
        super().__init__(folder, screen)
        self.keyboard = keyboard
        self.thread = 1
        self.place = Place("general/1")
        self.form: Form | None = None

    async def listen(self, handler: Handler, since: str) -> None:
        self.screen.note(GUIDE)
        loop = asyncio.get_running_loop()
        # A thread of its own that nobody waits for: a line that is never typed must not hold up the end.
        threading.Thread(target=self._read_lines, args=(loop,), daemon=True).start()
        await super().listen(handler, since)

    def _read_lines(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError, ValueError):  # the loop, or the keyboard, ended meanwhile
            while (line := self.keyboard.readline()) and line.strip() != "/quit":
                loop.call_soon_threadsafe(self._do_or_say_why, line.strip())
            loop.call_soon_threadsafe(self.leave)

    def _do_or_say_why(self, line: str) -> None:
        try:
            self.do(line)
        except Refusal as refusal:
            self.screen.note(refusal.text)

    def do(self, line: str) -> None:
        """What a person means by a line. Raises Refusal for what can be done to nothing."""
        if self.form is not None:
            self._answer(self.form, line)
        elif line == "/thread":
            self.thread += 1
            self.place = Place(f"general/{self.thread}")
            self.screen.note(f"Now in #{self.place.id}")
        elif line.startswith("/finetune"):
            self.say(self.place, line.removeprefix("/finetune").strip())
        elif line.isdigit():
            self._press_or_ask(self._button(int(line)))
        elif line:
            self.drop(self.place, Path(line.strip("'\"")).expanduser())

    def _press_or_ask(self, button: Button) -> None:
        if not button.form:
            self.press(self.place, button.action)
            return
        self.form = Form(button, self.place)
        self.screen.note(f"{button.label}. An empty line keeps what is there, /stop leaves the form.")
        self._ask(button.form[0])

    def _ask(self, field: Field) -> None:
        choices = "".join(f"\n  {number}  {choice}" for number, choice in enumerate(field.choices, 1))
        self.screen.note(f"{field.label}{f' [{field.value}]' if field.value else ''}:{choices}")

    def _answer(self, form: Form, line: str) -> None:
        """One line is one field; the last one presses the button."""
        if line == "/stop":
            self.form = None
            self.screen.note("Nothing was sent.")
            return
        form.values[form.field.name] = _chosen(form.field, line)
        if len(form.values) < len(form.button.form):
            self._ask(form.field)
            return
        self.form = None
        self.press(form.place, form.button.action, form.values)

    def _button(self, number: int) -> Button:
        """The button of that number under the latest message that has any."""
        for posted in reversed(self.posted.values()):
            if posted.place == self.place and posted.message.buttons:
                buttons = posted.message.buttons
                if 1 <= number <= len(buttons):
                    return buttons[number - 1]
                raise Refusal(f"The last buttons are 1 to {len(buttons)}.")
        raise Refusal("There is no button to press yet.")


def chat() -> int:
    """Serve until the person leaves."""
    screen = Screen(can_edit=False)
    with settings(screen) as chosen:
        chosen.data.mkdir(parents=True, exist_ok=True)
        with (chosen.data / "bot.log").open("a", buffering=1) as file:
            log.to(file)
            asyncio.run(make(chosen, TypedConsole(chosen.data / "console", screen)).serve())
    return 0
