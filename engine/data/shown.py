"""How text of a file is shown to people: cut, on one line, with everything invisible written as an escape."""

import unicodedata

LONGEST_MESSAGE = 300
INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def escaped(text: str) -> str:
    """Control, bidi and other invisible characters as `\\n`, `\\u202e` and the like; letters stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped_character(character) for character in text)


def _escaped_character(character: str) -> str:
    is_plain_space = character == " "
    is_hidden = unicodedata.category(character) in INVISIBLE or (character.isspace() and not is_plain_space)
    if not is_hidden:
        return character
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or _code(ord(character))


def _code(point: int) -> str:
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def shown(text: str, longest: int = 40) -> str:
    """`text` escaped and cut to `longest` characters, in backticks."""
    line = escaped(text[: longest + 1])
    return f"`{cut(line, longest)}`"


def cut(text: str, longest: int = LONGEST_MESSAGE) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def listed(names: list[str] | tuple[str, ...], most: int = 6) -> str:
    """Column names in words: `a`, `b` and 3 more."""
    parts = [shown(name, 24) for name in names[:most]]
    more = len(names) - most
    return ", ".join(parts) + (f" and {more} more" if more > 0 else "")
