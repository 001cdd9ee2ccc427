"""The questions of `python -m bot setup`: words on a terminal, tokens without an echo, and what a platform asks for.

A platform's own part stands in `adapters/chat/<name>/setup/steps.py` with `TITLE`, `steps() -> list[Step]`,
`async people(values) -> str` (who sets it up, as ADMINS wants it) and `async channels(values) -> list[(id, name)]`.
"""

import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from engine.refusal import Refusal

Values = Mapping[str, str]
Check = Callable[[str, Values], Awaitable[str]]
"""Takes an answer and those before it; returns a sentence on what was found. Raises Refusal."""


@dataclass(frozen=True)
class Step:
    """One value that is pasted. `before` is told first: what to do, and where the value is found.

    With `is_optional`, nothing is an answer too; with `is_secret` it is not shown.
    """

    setting: str
    label: str
    before: str
    check: Check
    is_secret: bool = True
    is_optional: bool = False


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def read(label: str, is_secret: bool = False) -> str:
    """A line that somebody types or pastes. Raises Refusal at the end of the input."""
    try:
        return (getpass.getpass(f"{label}: ") if is_secret else input(f"{label}: ")).strip()
    except EOFError:
        raise Refusal("Nobody answers, so nothing was changed: run it in a terminal.") from None


async def ask(step: Step, values: Values) -> str:
    """The value, checked; asked again for as long as it is wrong."""
    tell(f"\n{step.before}")
    while True:
        value = read(step.label, step.is_secret)
        if not value and step.is_optional:
            return ""
        try:
            tell(f"✓ {await step.check(value, values)}")
        except Refusal as refusal:
            tell(f"✗ {refusal.text}")
        else:
            return value


def choose(question: str, options: Sequence[str]) -> int:
    """The index of the option whose number somebody types."""
    tell(f"\n{question}")
    for number, option in enumerate(options, 1):
        tell(f"  {number}. {option}")
    while True:
        word = read(f"1 to {len(options)}")
        if word.isdigit() and 1 <= int(word) <= len(options):
            return int(word) - 1
        tell(f"✗ Type a number from 1 to {len(options)}.")
