"""Opening an upload: what kind of bytes it holds, and its physical lines as text.

Nothing here trusts the file's name.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from engine.data.findings import Add
from engine.data.reading.archives import CannotRead, open_bytes
from engine.data.shown import shown

HEAD = 64 * 1024
LONGEST_LINE = 16 * 1024 * 1024

MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ\x90", "a Windows program"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file (OLE2)"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "a gzip file inside an archive; unpack it once"),
    (b"PK\x03\x04", "a zip file inside an archive; unpack it once"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"ARROW1", "an Arrow file"),
    (b"\x80\x02", "a Python pickle"),
    (b"\x80\x03", "a Python pickle"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
)
BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
WEB_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body", b"<?xml")


def read_head(path: Path) -> bytes:
    """The first 64 KB, without a UTF-8 BOM. Raises CannotRead for what is no UTF-8 text at all."""
    with open_bytes(path) as file:
        head = file.read(HEAD)
    for magic, words in MAGIC:
        if head.startswith(magic):
            raise CannotRead("not_text", f"This is {words}, not a text file with rows. Upload CSV or JSONL.")
    for bom, encoding in BOMS:
        if head.startswith(bom):
            raise _other_encoding(head, encoding)
    head = without_bom(head)
    if not head.strip(b" \t\r\n"):
        raise CannotRead("empty_file", "The file is empty; upload one with rows in it.")
    _refuse_zeros(head)
    if head[:200].lstrip().lower().startswith(WEB_PAGES):
        raise CannotRead("web_page", "This is a web page, perhaps a sign-in page; download the dataset itself.")
    if head.startswith(b"version https://git-lfs"):
        raise CannotRead("not_text", "This is a Git LFS pointer, not the dataset; run `git lfs pull` and upload that.")
    return head


def without_bom(data: bytes) -> bytes:
    """Without UTF-8's byte order mark, which some programs write twice."""
    while data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    return data


def _refuse_zeros(head: bytes) -> None:
    """UTF-16 without a BOM has a zero in every other byte of plain text; a binary file has them anywhere."""
    zeros = head.count(0)
    if zeros * 4 < len(head):
        return
    for encoding, offset in (("utf-16-le", 1), ("utf-16-be", 0)):
        if head[offset::2].count(0) > 0.7 * len(head) / 2 and head[1 - offset :: 2].count(0) == 0:
            raise _other_encoding(head, encoding)
    raise CannotRead("not_text", "The file is full of NUL bytes: it is binary, not text. Upload CSV or JSONL.", line=1)


def _other_encoding(head: bytes, encoding: str) -> CannotRead:
    text = head.decode(encoding, "replace").lstrip("\ufeff").split("\n")[0]
    words = f"The file is {encoding.upper()}, not UTF-8; its first line reads {shown(text)}. Save it as UTF-8."
    return CannotRead("encoding", words, "convert_encoding", line=1)


def raw_lines(file: BinaryIO, ends_with_cr: bool) -> Iterator[bytes]:
    """Physical lines with their ends. A line over 16 MB comes cut: without an end, and that long."""
    if not ends_with_cr:
        yield from iter(partial(file.readline, LONGEST_LINE), b"")
        return
    rest = b""
    for block in iter(partial(file.read, HEAD), b""):
        *lines, rest = (rest + block).split(b"\r")
        yield from (line + b"\r" for line in lines)
        if len(rest) >= LONGEST_LINE:
            break
    if rest:
        yield rest


class Lines:
    """The physical lines of a file as text, one iteration only.

    `bad` holds the numbers of lines that are no UTF-8 or hold a NUL: they come with U+FFFD in their place, so that
    what follows is still checked, and their rows are not used. Who has looked at lines forgets them with `forget`.
    """

    def __init__(self, file: BinaryIO, ends_with_cr: bool, add: Add) -> None:
        self.bad: set[int] = set()
        self._raw = raw_lines(file, ends_with_cr)
        self._add = add
        self._undecoded: list[tuple[int, bytes]] = []
        self._undecoded_lines = 0
        self._good = 0

    def __iter__(self) -> Iterator[str]:
        for number, raw in enumerate(self._raw, 1):
            if number == 1:
                raw = without_bom(raw)
            text = self._text(number, raw)
            if len(raw) >= LONGEST_LINE and raw[-1] not in b"\r\n":
                self._add(
                    "line_too_long",
                    "The line is longer than 16 MB; reading stopped there. Cut it into several rows.",
                    line=number,
                )
                return
            yield text

    def _text(self, number: int, raw: bytes) -> str:
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            text = self._undecodable(number, raw, error)
        else:
            self._good += not text.isascii()
        return self._with_nul(number, text) if "\0" in text else text

    def forget(self, last: int) -> None:
        """Lines up to `last` are done with: in a large file all of them may be bad."""
        self.bad = {number for number in self.bad if number > last}

    def _undecodable(self, number: int, raw: bytes, error: UnicodeDecodeError) -> str:
        self._undecoded_lines += number not in self.bad
        self.bad.add(number)
        if len(self._undecoded) < 1_000:
            self._undecoded.append((number, raw[max(0, error.start - 20) : error.start + 20]))
        return raw.decode(errors="replace")

    def _with_nul(self, number: int, text: str) -> str:
        self.bad.add(number)
        at = text.index("\0") + 1
        self._add("nul", f"There is a NUL byte at column {at}; remove it.", line=number)
        return text.replace("\0", "\ufffd")

    def report_encoding(self) -> None:
        """One issue for a file in another encoding; one a line where encodings are mixed."""
        if not self._undecoded:
            return
        if self._good >= self._undecoded_lines:
            for number, raw in self._undecoded:
                name, text = _guess(raw)
                words = (
                    f"These bytes are not UTF-8 as the rest is; as {name} they read {shown(text)}. Save all as UTF-8."
                )
                self._add("mixed_encoding", words, line=number, fix="convert_encoding")
            return
        number, raw = self._undecoded[0]
        name, text = _guess(raw)
        lines = f" ({self._undecoded_lines} lines)" if self._undecoded_lines > 1 else ""
        words = f"The file is not UTF-8{lines}; as {name} this reads {shown(text)}. Save it as UTF-8."
        self._add("encoding", words, line=number, fix="convert_encoding")


class Pieces(Lines):
    """The text of a file that may be one long line, as a JSON array often is: lines, and long ones in pieces."""

    def __init__(self, file: BinaryIO, add: Add) -> None:
        super().__init__(file, False, add)
        self._file = file

    def __iter__(self) -> Iterator[str]:
        number, rest = 1, b""
        for raw in iter(partial(self._file.readline, HEAD), b""):
            whole = without_bom(rest + raw) if number == 1 else rest + raw
            end = len(whole) - unfinished(whole)
            yield self._text(number, whole[:end])
            rest = whole[end:]
            number += raw.endswith(b"\n")
        if rest:
            yield self._text(number, rest)


def unfinished(raw: bytes) -> int:
    """How many bytes at the end begin a character of UTF-8 that goes on behind them."""
    for back in range(1, min(4, len(raw) + 1)):
        byte = raw[-back]
        if byte >= 0xC0:
            return back if (byte >= 0xF0) + (byte >= 0xE0) + 2 > back else 0
        if byte < 0x80:
            return 0
    return 0


def _guess(raw: bytes) -> tuple[str, str]:
    """Windows' encoding or, where a byte has no meaning in it, Latin-1."""
    try:
        return "cp1252", raw.decode("cp1252")
    except UnicodeDecodeError:
        return "Latin-1", raw.decode("latin-1")
