"""Opening an upload's bytes: compressed ones are unpacked as a stream, with a cap on what comes out."""

import contextlib
import gzip
import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

SMALLEST_CAP = 64 * 1024 * 1024
RATIO_CAP = 20
"""A compressed file may grow twentyfold, or to 64 MB where that is more."""


class CannotRead(Exception):
    """The file as a whole gives no rows. `code` is that of the issue, `text` a sentence."""

    def __init__(self, code: str, text: str, fix: str = "", line: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.fix = fix
        self.line = line


class Capped(io.RawIOBase):
    """A stream that stops with words once more than `cap` bytes came out of it."""

    def __init__(self, stream: BinaryIO, cap: int) -> None:
        self.stream = stream
        self.left = cap

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a bytearray is the buffer we are given
        try:
            data = self.stream.read(len(buffer))
        except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise CannotRead("bad_archive", f"The archive is damaged or cut off ({error}). Upload it again.") from None
        self.left -= len(data)
        if self.left < 0:
            raise CannotRead("too_large", "The archive unpacks to far more than its size; upload the file itself.")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.stream.close()
        super().close()


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unpacked where it is a gzip or a zip with one member. Raises CannotRead."""
    with path.open("rb") as file:
        magic = file.read(4)
    cap = max(SMALLEST_CAP, RATIO_CAP * path.stat().st_size)
    if magic[:2] == b"\x1f\x8b":
        return _capped(cast(BinaryIO, gzip.open(path)), cap)
    if magic == b"PK\x03\x04":
        return _capped(_only_member(path), cap)
    return path.open("rb", buffering=1 << 18)


@contextlib.contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """An archive's bytes as a file of their own, for what is not read from its beginning to its end. Who has opened it
    meanwhile goes on reading when it is gone."""
    with tempfile.NamedTemporaryFile() as file:
        with open_bytes(path) as packed:
            shutil.copyfileobj(packed, file, 1 << 20)
        file.flush()
        yield Path(file.name)


def _capped(stream: BinaryIO, cap: int) -> BinaryIO:
    return io.BufferedReader(cast(io.RawIOBase, Capped(stream, cap)), 1 << 18)


def _only_member(path: Path) -> BinaryIO:
    try:
        archive = zipfile.ZipFile(path)
        names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise CannotRead("bad_archive", f"The zip archive is damaged ({error}). Upload it again.") from None
    if "[Content_Types].xml" in names:
        raise CannotRead("not_text", "This is a spreadsheet or Office file (XLSX); save the sheet as CSV (UTF-8).")
    members = [info for info in archive.infolist() if not (info.is_dir() or _is_beside(info.filename))]
    if len(members) != 1:
        raise CannotRead("bad_archive", f"The zip holds {len(members)} files; upload the one that is meant.")
    is_link = (members[0].external_attr >> 16) & 0o170000 == 0o120000
    if is_link or members[0].flag_bits & 1:
        what = "a link" if is_link else "encrypted"
        raise CannotRead("bad_archive", f"What the zip holds is {what}; upload the file itself.")
    try:
        return cast(BinaryIO, archive.open(members[0]))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise CannotRead(
            "bad_archive", f"The zip archive cannot be unpacked ({error}). Pack it anew, or upload the file itself."
        ) from None


def _is_beside(name: str) -> bool:
    """What macOS puts into each zip beside the file that is meant."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"
