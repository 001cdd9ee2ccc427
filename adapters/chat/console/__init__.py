"""The console: a chat in one terminal, for trying everything without an account anywhere."""

from pathlib import Path

from adapters.chat.console.chat import Console
from adapters.chat.console.screen import Screen


def make(data: Path) -> Console:
    return Console(data / "console", Screen())
