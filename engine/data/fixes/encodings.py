"""What is mended before a file can be read: its encoding, lists that stand alone, and a header that is missing."""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from engine.data.columns import HEADERS
from engine.data.fixes.changes import Changes
from engine.data.reading.archives import open_bytes
from engine.data.reading.files import BOMS, LONGEST_LINE, raw_lines, unfinished, without_bom
from engine.data.reading.json_rows import is_bare_conversation
from engine.data.reading.sniff import Shape
from engine.data.reading.strict_json import BadJson, parse
from engine.data.shown import listed, shown
from engine.refusal import Refusal

BLOCK = 1 << 20


def convert(path: Path, out: Path, changes: Changes) -> None:
    """Write `path` as UTF-8: from UTF-16 or UTF-32, else line by line from cp1252 or Latin-1 where it is no UTF-8.
    Raises Refusal for a file that breaks off in the middle of a character."""
    encoding = _encoding_of(path)
    with open_bytes(path) as file, out.open("wb") as target:
        if encoding:
            for block in _decoded(file, encoding):
                target.write(block.encode())
            changes.add(None, f"The file was {encoding.upper()} and is UTF-8 now.")
            return
        for number, raw in enumerate(whole_characters(raw_lines(file, ends_with_cr=False)), 1):
            name, line = _utf8(raw)
            target.write(line)
            if name:
                changes.add(number, f"{name} became UTF-8: {shown(line.decode().strip(), 60)}")


def _encoding_of(path: Path) -> str:
    """UTF-16 or UTF-32 by its mark, or by the zeros in plain text; else empty."""
    with open_bytes(path) as file:
        head = file.read(4096)
    encoding = next((name for bom, name in BOMS if head.startswith(bom)), "")
    if not encoding and head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if not encoding and head[0::2].count(0) > len(head) // 4:
        return "utf-16-be"
    return encoding


def _decoded(file: BinaryIO, encoding: str) -> Iterator[str]:
    """The text, a megabyte after the other, without its mark."""
    decoder = codecs.getincrementaldecoder(encoding)()
    at, is_start = 0, True
    while True:
        block = file.read(BLOCK)
        before = at - len(decoder.getstate()[0])
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            words = f"The file looks like {encoding.upper()}, but breaks off at byte {before + error.start + 1:,}"
            raise Refusal(f"{words}; save it as UTF-8.", "file") from None
        at += len(block)
        yield text.removeprefix("\ufeff") if is_start else text
        is_start = is_start and not text
        if not block:
            return


def whole_characters(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines of which the longest come in pieces, no character of UTF-8 in two of them."""
    rest = b""
    for raw in lines:
        whole = rest + raw
        end = len(whole) - (unfinished(whole) if len(raw) >= LONGEST_LINE else 0)
        yield whole[:end]
        rest = whole[end:]
    if rest:
        yield rest


def _utf8(raw: bytes) -> tuple[str, bytes]:
    for encoding, name in (("utf-8", ""), ("cp1252", "cp1252"), ("latin-1", "Latin-1")):
        try:
            return name, raw.decode(encoding).encode()
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes every byte")


def wrap_lists(path: Path, out: Path, changes: Changes) -> None:
    """Write JSONL with `{"messages": …}` around each line that is a bare list of messages."""
    with open_bytes(path) as file, out.open("wb") as target:
        for number, raw in enumerate(raw_lines(file, ends_with_cr=False), 1):
            bare = without_bom(raw) if number == 1 else raw
            text = bare.strip()
            if text.startswith(b"[") and _is_conversation(text):
                raw = raw.replace(text, b'{"messages": ' + text + b"}")
                changes.add(number, "the list was put under `messages`.")
            target.write(raw)


def _is_conversation(text: bytes) -> bool:
    try:
        return is_bare_conversation(parse(text.decode()))
    except (BadJson, UnicodeDecodeError):
        return False


def add_header(path: Path, out: Path, shape: Shape, width: int, changes: Changes) -> None:
    """Write `path` with a header above its first line. Raises Refusal where none is known for so many columns."""
    if shape.format != "csv" or width not in HEADERS:
        raise Refusal(f"There is no usual header for {width} columns; write one above the first line.", "fixes")
    line = io.StringIO(newline="")
    csv.writer(line, delimiter=shape.delimiter, lineterminator="\r" if shape.ends_with_cr else "\n").writerow(
        HEADERS[width]
    )
    with open_bytes(path) as file, out.open("wb") as target:
        first = file.read(1 << 16)
        bare = without_bom(first)
        target.write(first[: len(first) - len(bare)] + line.getvalue().encode() + bare)
        while block := file.read(1 << 20):
            target.write(block)
    changes.add(1, f"the header {listed(HEADERS[width])} was put above it.")
