"""Plain text as Discord's markup, so that nothing in it formats, pings, or links elsewhere than it says."""

import re
import unicodedata

ADDRESS = re.compile(r"(?<![\w@])https?://[\w\-./%#?=&:+,]*[\w/]", re.ASCII)
"""Shown as it is: an address that leads where it says. Discord's own addresses end at the same signs."""
MARKUP = re.compile(r"([\\*_~|`>#\-\[\]()<])")
NUMBERED = re.compile(r"^(\s*\d+)([.)])", re.MULTILINE)
JOINER = "\u200b"


def escaped(text: str) -> str:
    """`text` as it will be read, whatever is in it."""
    text, parts, at = visible(text), [], 0
    for found in ADDRESS.finditer(text):
        parts += [_escaped(text[at : found.start()]), found[0]]
        at = found.end()
    return "".join([*parts, _escaped(text[at:])])


def _escaped(text: str) -> str:
    marked = MARKUP.sub(r"\\\1", text).replace("@", "@" + JOINER).replace("://", ":" + JOINER + "//")
    return NUMBERED.sub(r"\1\\\2", marked)


def block(text: str) -> str:
    """A fixed-width block that nothing in `text` can end."""
    return "```\n" + visible(text).replace("`", "`" + JOINER).replace("@", "@" + JOINER) + "\n```"


def visible(text: str) -> str:
    """Control and direction characters written out, so that the order on the screen is the order in the file."""
    return "".join(_visible(sign) for sign in text)


def _visible(sign: str) -> str:
    is_hidden = unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co") and sign not in "\n\t\u200d"
    return f"\\u{ord(sign):04x}" if is_hidden else sign


def width(text: str) -> int:
    """Columns in a fixed-width font."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else not unicodedata.combining(sign) for sign in text)
