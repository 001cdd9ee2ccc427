"""Rows of strict JSON: JSONL line by line, or the objects of one array, with at most 64 columns."""

import json
from collections.abc import Iterator

from engine.data.findings import Add
from engine.data.reading.csv_rows import MOST_COLUMNS, Record
from engine.data.reading.files import HEAD, LONGEST_LINE, Lines
from engine.data.reading.strict_json import (
    DECODER,
    DEEPEST,
    BadJson,
    parse,
    reason,
    refuse_bad_text,
    refuse_depth,
)
from engine.data.shown import shown


def is_bare_conversation(value: object) -> bool:
    """A list of messages that stands in no object."""
    are_messages = isinstance(value, list) and all(
        isinstance(item, dict) and {"role", "from"} & item.keys() for item in value
    )
    return bool(value) and are_messages


class JsonReading:
    """Rows of JSONL or of a JSON array. Iterate once; each row is a JSON object."""

    def __init__(self, lines: Lines, is_array: bool, add: Add) -> None:
        self.blank_lines = 0
        self.row = 0
        self._lines = lines
        self._add = add
        self._is_array = is_array
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
        if not self._is_array and is_bare_conversation(value):
            words = 'This is a bare list of messages; put it under a key, as in {"messages": […]}.'
            self._add("not_an_object", words, line=line, row=row, fix="wrap_lists")
            return
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
            refuse_depth(piece)
        refuse_bad_text(piece, value)
        self.line += piece.count("\n")
        self._at = end
        return value

    def _placed(self, error: json.JSONDecodeError) -> BadJson:
        before = self._text[self._at : error.pos]
        self.line += before.count("\n")
        column = error.pos - self._text.rfind("\n", 0, error.pos)
        near = shown(self._text[error.pos : error.pos + 12], 12) if error.pos < len(self._text) else "the end"
        return BadJson(f"{reason(error, self._text)}, at {near}", column)
