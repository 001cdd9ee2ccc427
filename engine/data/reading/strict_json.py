"""Strict JSON (RFC 8259): no NaN, no key twice, no lone surrogate, no NUL, nesting up to 32."""

import json
import re
from collections.abc import Iterator

from engine.data.shown import escaped, shown

DEEPEST = 32


class BadJson(Exception):
    """`column` counts characters from 1, or is 0 where no place can be named."""

    def __init__(self, text: str, column: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.column = column


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadJson(f"the key {shown(twice)} stands twice")
    return values


def _no_constant(name: str) -> object:
    raise BadJson(f"{name} is no JSON value")


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def parse(text: str) -> object:
    """One JSON value. Raises BadJson with the reason and the column."""
    value, end = _decode(text, _start_of(text, 0))
    rest = text[end:].strip(" \t\r\n")
    if rest:
        raise BadJson(f"there is more after the value: {shown(rest, 20)}", end + 1)
    refuse_bad_text(text, value)
    return value


def _start_of(text: str, position: int) -> int:
    length = len(text)
    while position < length and text[position] in " \t\r\n":
        position += 1
    return position


def _decode(text: str, start: int) -> tuple[object, int]:
    if text.count("[") + text.count("{") > DEEPEST:
        refuse_depth(text)
    try:
        return DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        near = shown(text[error.pos : error.pos + 12], 12) if error.pos < len(text) else "the end of the line"
        raise BadJson(f"{reason(error, text)}, at {near}", error.pos + 1) from None
    except RecursionError:
        raise BadJson(f"it is nested deeper than {DEEPEST} levels") from None
    except ValueError:
        raise BadJson("it holds a number with thousands of digits") from None


def reason(error: json.JSONDecodeError, text: str) -> str:
    character = text[error.pos : error.pos + 1]
    if character == "'":
        return "JSON wants double quotes, not apostrophes"
    return {
        "Expecting value": "a value is missing",
        "Expecting property name enclosed in double quotes": "a key in double quotes is missing",
        "Expecting ':' delimiter": "a colon is missing",
        "Expecting ',' delimiter": "a comma or closing bracket is missing",
        "Unterminated string starting at": "this string is not closed",
        "Invalid control character at": "a control character must be written as an escape",
        "Illegal trailing comma before end of object": "a comma stands before the closing bracket",
        "Illegal trailing comma before end of array": "a comma stands before the closing bracket",
    }.get(error.msg, escaped(error.msg[0].lower() + error.msg[1:]))


_STRING = r'"(?:[^"\\]|\\.)*+"'
_BRACKETS = re.compile(_STRING + r"|([\[{])|([\]}])")


def refuse_depth(text: str) -> None:
    """Depth outside strings; brackets inside them do not count."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        if found.lastindex == 1:
            depth += 1
        elif found.lastindex == 2:
            depth -= 1
        if depth > DEEPEST:
            raise BadJson(f"it is nested deeper than {DEEPEST} levels", found.start() + 1)


def strings(value: object) -> Iterator[str]:
    """Every string in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item)


def refuse_bad_text(text: str, value: object) -> None:
    """Escapes can spell what text cannot hold."""
    if "\\u" not in text:
        return
    for part in strings(value):
        if "\0" in part:
            raise BadJson("it holds the character U+0000", text.find("\\u0000") + 1)
        try:
            part.encode()
        except UnicodeEncodeError:
            at = max(text.lower().find("\\ud"), 0) + 1
            raise BadJson("it holds half of a surrogate pair (\\ud800 to \\udfff)", at) from None
