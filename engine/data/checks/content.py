"""What may be wrong inside a text: invisible characters, marks of a broken conversion, secrets, personal data.

Rows are gathered into blocks. Over a block each scan first asks a question that runs at the speed of memory; only
where the answer is yes are its rows looked at one by one, and only in such a row its cells.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html.entities import name2codepoint

from engine.data.findings import Add
from engine.data.private import PERSONAL, SECRETS, Finder, may_hold_personal, may_hold_secret
from engine.data.reading import Record
from engine.data.shown import shown
from engine.data.turns import LITERAL_NEWLINE

BLOCK = 1 << 16
CONTROLS = bytes(set(range(32)) - {9, 10, 13}) + b"\x7f"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
BIDI = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
ZERO_WIDTH = re.compile(r"[\u200b\u2060\ufeff\u00ad\u180e]")
"""Not the joiners U+200C and U+200D: Persian, Indic scripts and emoji are written with them."""
ENTITY = re.compile(rf"&(?:apos|{'|'.join(name2codepoint)}|#[0-9]{{2,7}}|#[xX][0-9a-fA-F]{{2,6}});")
"""HTML 4's names, `&apos;`, and numbers."""
FORMULA = re.compile(
    r"[ \t]*(?:[=+@-][ \t]*[A-Za-z][A-Za-z0-9.]*[(|]|=[ \t]*\$?[A-Z]{1,3}\$?\d+(?![\w.])|=[ \t]*\d[\d.]*[ \t]*[-+*/^]"
    r"|#(?:REF!|N/A$|VALUE!|NAME\?|DIV/0!))"
)
"""A function, a cell, a sum of numbers, or what a spreadsheet says of one that failed."""
TEMPLATES: Mapping[str, re.Pattern[str]] = {
    "ChatML": re.compile(r"<\|im_start\|>"),
    "Llama 2 and Mistral": re.compile(r"\[INST\]"),
    "Llama 3": re.compile(r"<\|start_header_id\|>"),
    "Gemma": re.compile(r"<start_of_turn>"),
    "Zephyr and Phi": re.compile(r"<\|(?:user|assistant)\|>"),
}
"""Chat template → the mark by which text that went through it already is known."""

_C1 = re.compile(rb"\xc2[\x80-\x9f]")
_TURNED = re.compile(rb"\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]")
_HIDDEN = re.compile(rb"\xe2\x80\x8b|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad|\xe1\xa0\x8e")
_ENTITIES = re.compile(rb"&(?:[A-Za-z][A-Za-z0-9]{1,7}|#[0-9xX][0-9a-fA-F]{1,6});")
_FORMULAE = re.compile(rb"\n[ \t]*(?:[=+@-][ \t]*[A-Za-z][A-Za-z0-9.]*[(|]|=[ \t]*[$A-Z0-9]|#[RNVD])")
_MISREAD = re.compile(
    rb"\xc3[\x82\x83\x90\x91](?:[\xc2\xc5\xc6\xcb]|\xe2[\x80\x82\x84])|\xc3\xa2\xe2\x82\xac|\xc3\xb0\xc5\xb8"
)
MISREAD = re.compile(r"(?=[ÂÃÐÑâð])[^\x00-\x7f]{2,}")


def _has(data: bytes, *needles: bytes) -> bool:
    return any(needle in data for needle in needles)


def repaired(run: str) -> str | None:
    """Text that was UTF-8, was read as cp1252 and written again, as it was; None where it was not so.

    `run` holds no ASCII. Bytes without a meaning in cp1252 were taken for Latin-1's.
    """
    try:
        raw = b"".join(_byte(character) for character in run)
        return raw.decode()
    except UnicodeError:
        return None


def _byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


class _Misread:
    """Answers `search` as a pattern does, with the first run of characters that `repaired` can repair."""

    def search(self, text: str) -> re.Match[str] | None:
        return next((found for found in MISREAD.finditer(text) if repaired(found[0]) is not None), None)


class _AtStart:
    """Answers `search` with what stands at the beginning of a cell."""

    def search(self, text: str) -> re.Match[str] | None:
        return FORMULA.match(text)


@dataclass(frozen=True)
class Scan:
    """`may_hold` is asked of whole blocks (UTF-8), `finder` of single cells; `advice` says what to do."""

    code: str
    may_hold: Callable[[bytes], object]
    finder: Finder
    words: str
    advice: str
    fix: str = ""


SCANS: tuple[Scan, ...] = (
    Scan(
        "literal_newline", lambda data: b"\\n" in data, LITERAL_NEWLINE,
        "holds backslash-n as two characters", "Turn it into a line break if one is meant", "unescape",
    ),
    Scan(
        "control_character", lambda data: len(data.translate(None, CONTROLS)) != len(data) or _C1.search(data), CONTROL,
        "holds a control character", "Take it out", "drop_hidden",
    ),
    Scan(
        "bidi_character", _TURNED.search, BIDI,
        "holds a character that turns the direction of writing", "Take it out unless it is meant", "drop_hidden",
    ),
    Scan("zero_width", _HIDDEN.search, ZERO_WIDTH, "holds a character without width", "Take it out", "drop_hidden"),
    Scan(
        "html_entity", lambda data: b"&" in data and _ENTITIES.search(data), ENTITY,
        "holds an HTML entity", "Turn it into its character unless HTML is meant", "unescape_html",
    ),
    Scan(
        "mojibake", _MISREAD.search, _Misread(),
        "was UTF-8 and was read as cp1252", "Repair it", "repair_mojibake",
    ),
    Scan(
        "formula", _FORMULAE.search, _AtStart(),
        "looks like a spreadsheet's formula", "Paste its value instead, unless the formula is meant",
    ),
)  # fmt: skip


class ContentChecks:
    """`lists` are the columns that hold conversations; as a cell of a table one is JSON text, where backslash-n is
    how a line break is written. `finish` looks at the last block."""

    def __init__(self, lists: frozenset[str], add: Add) -> None:
        self.secrets: Counter[str] = Counter()
        self.personal: Counter[str] = Counter()
        self.literal_newlines = 0
        self.templated: Counter[str] = Counter()
        self._lists = lists
        self._add = add
        self._block: list[tuple[Record, str]] = []
        self._size = 0

    def add(self, record: Record, text: str) -> None:
        """`text` is every text of the row, one a line."""
        self._block.append((record, text))
        self._size += len(text)
        if self._size > BLOCK:
            self.finish()

    def finish(self) -> None:
        data = ("\n" + "\n".join([text for _, text in self._block])).encode()
        for scan in SCANS:
            if scan.may_hold(data):
                self._look(scan)
        if may_hold_secret(data):
            self._count("secret", SECRETS, self.secrets, may_hold_secret)
        if may_hold_personal(data):
            self._count("personal_data", PERSONAL, self.personal, may_hold_personal)
        if _has(data, b"<|", b"[INST]", b"<start_of_turn>"):
            self._count_templates()
        self._block.clear()
        self._size = 0

    def _count_templates(self) -> None:
        for _, text in self._block:
            if name := next((name for name, mark in TEMPLATES.items() if mark.search(text)), ""):
                self.templated[name] += 1

    def _look(self, scan: Scan) -> None:
        for record, text in self._block:
            if scan.may_hold(b"\n" + text.encode()):
                found = [self._look_at(scan, record, name, value) for name, value in record.cells.items()]
                self.literal_newlines += scan.code == "literal_newline" and any(found)

    def _look_at(self, scan: Scan, record: Record, name: str, value: object) -> bool:
        is_json = isinstance(value, str) and name in self._lists
        if is_json and scan.code == "literal_newline":
            return False
        for text in (value,) if isinstance(value, str) else texts((value,)):
            if found := scan.finder.search(text):
                near = shown(text[max(0, found.start() - 12) : found.end() + 12], 30)
                words = f"{shown(name)} {scan.words}: {near}. {scan.advice}."
                fix = "" if is_json else scan.fix
                self._add(scan.code, words, line=record.line, row=record.row, column=name, fix=fix)
                return True
        return False

    def _count(
        self, code: str, kinds: Mapping[str, Finder], counts: Counter[str], may_hold: Callable[[bytes], bool]
    ) -> None:
        """Counted by kind and placed, never repeated."""
        advice = "take it out and revoke it" if code == "secret" else "mask it unless it may be learned"
        for record, text in self._block:
            if len(self._block) > 1 and not may_hold(text.encode()):
                continue
            for kind, finder in kinds.items():
                if finder.search(text):
                    counts[kind] += 1
                    words = f"The row seems to hold {_KINDS[code]} ({kind}); {advice}."
                    self._add(code, words, line=record.line, row=record.row, fix=_FIXES[code])


_KINDS = {"secret": "a secret", "personal_data": "personal data"}
_FIXES = {"secret": "mask_secrets", "personal_data": "mask_personal_data"}


def texts(values: Iterable[object]) -> Iterable[str]:
    """Every text in a row of JSON, whatever it is nested in; numbers as they print."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from texts(value)
        elif isinstance(value, dict):
            yield from texts(value.values())
        else:
            yield repr(value)
