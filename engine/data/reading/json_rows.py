"""Strict JSON (RFC 8259) rows: JSONL line by line, or the objects of one array. No NaN, no key twice, no lone
surrogate, no NUL, nesting up to 32, at most 64 columns."""

import json
import re
from collections.abc import Iterator

from engine.data.findings import Add
from engine.data.reading.csv_rows import MOST_COLUMNS, Record
from engine.data.reading.files import HEAD, LONGEST_LINE, Lines
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
    _refuse_bad_text(text, value)
    return value


def _start_of(text: str, position: int) -> int:
    length = len(text)
    while position < length and text[position] in " \t\r\n":
        position += 1
    return position


def _decode(text: str, start: int) -> tuple[object, int]:
    if text.count("[") + text.count("{") > DEEPEST:
        _refuse_depth(text)
    try:
        return DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        near = shown(text[error.pos : error.pos + 12], 12) if error.pos < len(text) else "the end of the line"
        raise BadJson(f"{_reason(error, text)}, at {near}", error.pos + 1) from None
    except RecursionError:
        raise BadJson(f"it is nested deeper than {DEEPEST} levels") from None
    except ValueError:
        raise BadJson("it holds a number with thousands of digits") from None


def _reason(error: json.JSONDecodeError, text: str) -> str:
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


def _refuse_depth(text: str) -> None:
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


def _refuse_bad_text(text: str, value: object) -> None:
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


class JsonReading:
    """Rows of JSONL or of a JSON array. Iterate once; each row is a JSON object."""

    def __init__(self, lines: Lines, is_array: bool, add: Add) -> None:
        self.blank_lines = 0
        self.row = 0
        self._lines = lines
        self._add = add
        self._values = self._array() if is_array else self._each_line()

    def __iter__(self) -> Iterator[Record]:
        for row, (line, value) in enumerate(self._values, 1):
            self.row = row
            if not isinstance(value, dict):
                if value is not None or not self._was_reported:
                    self._report_no_object(value, line, row)
                continue
            if len(value) > MOST_COLUMNS:
                words = f"The row has {len(value):,} keys; at most {MOST_COLUMNS} are read. Take some out."
                self._add("too_many_columns", words, line=line, row=row)
                continue
            yield Record(row, line, line, value)

    def _report_no_object(self, value: object, line: int, row: int) -> None:
        kind = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}.get(type(value), "a number")
        words = f'This is {kind}; write an object such as {{"text": "…"}}, or drop it.'
        self._add("not_an_object", words, line=line, row=row)

    _was_reported = False

    def _fail(self, error: BadJson, line: int, row: int | None = None) -> None:
        self._was_reported = True
        where = f"column {error.column}: " if error.column else ""
        self._add("bad_json", f"{where}this is not JSON: {error.text}. Mend or drop it.", line=line, row=row)

    def _each_line(self) -> Iterator[tuple[int, object]]:
        row = 0
        for number, text in enumerate(self._lines, 1):
            if not text.strip(" \t\r\n"):
                self.blank_lines += 1
                continue
            row += 1
            self._was_reported = False
            if number in self._lines.bad:
                self._was_reported = True
                self._lines.forget(number)
                yield number, None
                continue
            try:
                value = parse(text)
            except BadJson as error:
                is_spread = number == 1 and text.strip() == "{"
                self._fail(BadJson("JSONL has one whole object a line") if is_spread else error, number, row)
                yield number, None
                if is_spread:
                    return
            else:
                yield number, value

    def _array(self) -> Iterator[tuple[int, object]]:
        """Objects of the array one by one; after a fault the rest cannot be read."""
        buffer = Buffer(self._lines)
        buffer.skip("[")
        while True:
            buffer.skip_space()
            if buffer.peek() == "]":
                break
            self._was_reported = False
            line = buffer.line
            try:
                value = buffer.value()
            except BadJson as error:
                self._fail(error, buffer.line)
                return
            yield line, value
            buffer.skip_space()
            if buffer.peek() != ",":
                break
            buffer.skip(",")
            buffer.skip_space()
            if buffer.peek() == "]":
                self._fail(BadJson("a comma stands before the closing bracket"), buffer.line)
                return
        self._end_of_array(buffer)

    def _end_of_array(self, buffer: "Buffer") -> None:
        if buffer.peek() != "]":
            what = shown(buffer.peek(), 12) if buffer.peek() else "the end of the file"
            self._fail(BadJson(f"a comma or the closing bracket of the array is missing, at {what}"), buffer.line)
            return
        buffer.skip("]")
        buffer.skip_space()
        if buffer.peek():
            self._fail(BadJson("there is more after the array's closing bracket"), buffer.line)


class Buffer:
    """A window over the text of a JSON array, with the line of its beginning."""

    def __init__(self, lines: Lines) -> None:
        self.line = 1
        self._lines = iter(lines)
        self._text = ""
        self._at = 0

    def _more(self, size: int = HEAD) -> bool:
        """Read at least `size` more characters; False at the end of the file."""
        parts, length = [self._text[self._at :]], 0
        for line in self._lines:
            parts.append(line)
            length += len(line)
            if length >= size:
                break
        self._text, self._at = "".join(parts), 0
        return length > 0

    def peek(self) -> str:
        if self._at >= len(self._text):
            self._more()
        return self._text[self._at : self._at + 1]

    def skip(self, expected: str) -> None:
        self.skip_space()
        if self.peek() == expected:
            self._at += 1

    def skip_space(self) -> None:
        while (character := self.peek()) and character in " \t\r\n":
            self.line += character == "\n"
            self._at += 1

    def value(self) -> object:
        """The JSON value that begins here. Raises BadJson at the line where the fault is."""
        while True:
            try:
                value, end = DECODER.raw_decode(self._text, self._at)
                break
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(self._text) - 16 or error.msg.startswith("Unterminated")
                if is_cut and len(self._text) < LONGEST_LINE and self._more(max(HEAD, len(self._text))):
                    continue
                raise self._placed(error) from None
            except RecursionError:
                raise BadJson(f"it is nested deeper than {DEEPEST} levels") from None
            except ValueError:
                raise BadJson("it holds a number with thousands of digits") from None
        piece = self._text[self._at : end]
        if piece.count("[") + piece.count("{") > DEEPEST:
            _refuse_depth(piece)
        _refuse_bad_text(piece, value)
        self.line += piece.count("\n")
        self._at = end
        return value

    def _placed(self, error: json.JSONDecodeError) -> BadJson:
        before = self._text[self._at : error.pos]
        self.line += before.count("\n")
        column = error.pos - self._text.rfind("\n", 0, error.pos)
        near = shown(self._text[error.pos : error.pos + 12], 12) if error.pos < len(self._text) else "the end"
        return BadJson(f"{_reason(error, self._text)}, at {near}", column)
