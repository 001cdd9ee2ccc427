"""What is mended before a file can be read: its encoding, lists that stand alone, and a header that is missing."""

import csv
import io
from pathlib import Path

from engine.data.columns import HEADERS
from engine.data.fixes.mending import Change
from engine.data.reading.archives import open_bytes
from engine.data.reading.files import BOMS, raw_lines, without_bom
from engine.data.reading.json_rows import is_bare_conversation
from engine.data.reading.sniff import Shape
from engine.data.reading.strict_json import BadJson, parse
from engine.data.shown import listed, shown
from engine.refusal import Refusal


def convert(path: Path, out: Path) -> list[Change]:
    """Write `path` as UTF-8: from UTF-16 or UTF-32, else line by line from cp1252 or Latin-1 where it is no UTF-8."""
    with open_bytes(path) as file:
        head = file.read(4096)
    encoding = next((name for bom, name in BOMS if head.startswith(bom)), "")
    if not encoding and head[1::2].count(0) > len(head) // 4:
        encoding = "utf-16-le"
    if not encoding and head[0::2].count(0) > len(head) // 4:
        encoding = "utf-16-be"
    with open_bytes(path) as file, out.open("wb") as target:
        if encoding:
            text = _decoded(file.read(), encoding)
            target.write(text.removeprefix("\ufeff").encode())
            return [Change(None, f"The file was {encoding.upper()} and is UTF-8 now.")]
        changes = []
        for number, raw in enumerate(raw_lines(file, ends_with_cr=False), 1):
            name, line = _utf8(raw)
            target.write(line)
            if name:
                changes.append(Change(number, f"{name} became UTF-8: {shown(line.decode().strip(), 60)}"))
    return changes


def _decoded(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        words = f"The file looks like {encoding.upper()}, but breaks off at byte {error.start + 1:,}; save it as UTF-8."
        raise Refusal(words, "file") from None


def _utf8(raw: bytes) -> tuple[str, bytes]:
    for encoding, name in (("utf-8", ""), ("cp1252", "cp1252"), ("latin-1", "Latin-1")):
        try:
            return name, raw.decode(encoding).encode()
        except UnicodeDecodeError:
            continue
    raise AssertionError("Latin-1 decodes every byte")


def wrap_lists(path: Path, out: Path) -> list[Change]:
    """Write JSONL with `{"messages": …}` around each line that is a bare list of messages."""
    changes = []
    with open_bytes(path) as file, out.open("wb") as target:
        for number, raw in enumerate(raw_lines(file, ends_with_cr=False), 1):
            bare = without_bom(raw) if number == 1 else raw
            text = bare.strip()
            if text.startswith(b"[") and _is_conversation(text):
                raw = raw.replace(text, b'{"messages": ' + text + b"}")
                changes.append(Change(number, "the list was put under `messages`."))
            target.write(raw)
    return changes


def _is_conversation(text: bytes) -> bool:
    try:
        return is_bare_conversation(parse(text.decode()))
    except (BadJson, UnicodeDecodeError):
        return False


def add_header(path: Path, out: Path, shape: Shape, width: int) -> list[Change]:
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
    return [Change(1, f"the header {listed(HEADERS[width])} was put above it.")]
