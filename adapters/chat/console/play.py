"""`make chat`: the console as an interactive chat. `make hub`: the local Hub's pages."""

import asyncio
import signal
import sys
from pathlib import Path

from adapters.chat.console.chat import Console
from adapters.chat.console.local import PORT, local_hub, settings
from adapters.chat.console.screen import Screen
from bot.app import make
from bot.chat import Button, Place
from bot.settings import Settings
from engine.refusal import Refusal

GUIDE = """Type the path of a CSV or JSONL to drop it, /finetune … to ask for a run, a number to press a button.
/thread opens a new thread, /quit leaves. For a start: examples/preferences.csv, then /finetune dpo max_steps=25."""


def chat() -> int:
    screen = Screen(can_edit=False)
    with settings(screen) as chosen:
        asyncio.run(_chat(Console(chosen.data / "console", screen), chosen))
    return 0


async def _chat(console: Console, chosen: Settings) -> None:
    app = make(chosen, console)
    console.screen.note(GUIDE)
    async with app.running():
        listening = asyncio.create_task(console.listen(app.handle, console.cursor()))
        await Typist(console).type_until_quit()
        console.leave()
        await listening


class Typist:
    """Turns typed lines into what a person does in a chat."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.thread = 1
        self.place = Place("general/1")

    async def type_until_quit(self) -> None:
        while (line := await asyncio.to_thread(sys.stdin.readline)) and line.strip() != "/quit":
            try:
                self.do(line.strip())
            except Refusal as refusal:
                self.console.screen.note(refusal.text)

    def do(self, line: str) -> None:
        """Raises Refusal for what can be done to nothing."""
        if not line:
            return
        if line == "/thread":
            self.thread += 1
            self.place = Place(f"general/{self.thread}")
            self.console.screen.note(f"Now in #{self.place.id}")
        elif line.startswith("/finetune"):
            self.console.say(self.place, line.removeprefix("/finetune").strip())
        elif line.isdigit():
            self.console.press(self.place, self._button(int(line)).action)
        else:
            self.console.drop(self.place, Path(line.strip("'\"")).expanduser())

    def _button(self, number: int) -> Button:
        """The button of that number under the latest message that has any."""
        for posted in reversed(self.console.posted.values()):
            if posted.place == self.place and posted.message.buttons:
                buttons = posted.message.buttons
                if number <= len(buttons):
                    return buttons[number - 1]
                raise Refusal(f"There are {len(buttons)} buttons under the last message.")
        raise Refusal("There is no button to press yet.")


def hub() -> int:
    with local_hub(Path("data/hub")) as local:
        sys.stdout.write(f"The models of the demo and the chat: {local.pages}\n")
        if not local.endpoint.endswith(f":{PORT}"):
            sys.stdout.write(f"Port {PORT} is taken, so links in earlier messages do not open; this address does.\n")
        sys.stdout.write("Ctrl-C ends it.\n")
        try:
            signal.pause()
        except KeyboardInterrupt:
            sys.stdout.write("\n")
    return 0
