"""The console: a chat in one terminal, for trying everything without an account anywhere."""

from pathlib import Path

from adapters.chat.console.screen import Screen
from adapters.chat.console.typist import TypedConsole


def make(data: Path) -> TypedConsole:
    return TypedConsole(data / "console", Screen(can_edit=False))
