"""What somebody wants checked that is no attached file: rows pasted as a code block, or a dataset of the Hub. Pure."""

import re
from dataclasses import dataclass

from engine.hub.datasets.words import PREFIX, is_words, parse
from engine.refusal import Refusal

FENCE = "```"
KINDS = ("csv", "tsv", "jsonl", "json")
WORD = "check"
REPO = re.compile(r"[\w.-]+/[\w.-]+([@:\[]\S*)?$")
"""After `check`, a repo is meant with and without hf: before it."""
NO_FILE = (
    "Check what? Attach a file, paste the rows between two lines of ```, or name a dataset of the Hub, as in "
    "`/finetune check hf:org/name:train[:1000]`."
)


@dataclass(frozen=True)
class Check:
    """Report on `rows` (as they were pasted, `kind` their suffix) or on the dataset `source`; `then` are the words of
    the command that is to be planned on it, empty for none."""

    rows: str = ""
    kind: str = "csv"
    source: str = ""
    then: str = ""


def asked(text: str) -> Check | None:
    """None for words that ask for something else. Raises Refusal where there is nothing to check."""
    if FENCE in text:
        return _pasted(text)
    first, _, rest = text.strip().partition(" ")
    source = text.strip() if is_words(text.strip()) else rest.strip() if first.lower() == WORD else None
    if source is None:
        return None
    if REPO.match(source):
        source = PREFIX + source
    if not is_words(source):
        raise Refusal(NO_FILE, "file")
    parse(source)
    return Check(source=source)


def _pasted(text: str) -> Check:
    """The words before and behind the block are the command."""
    before, rows, *behind = text.split(FENCE)
    first, line_end, more = rows.partition("\n")
    kind = first.strip().lower()
    if kind in KINDS:
        rows = more
    else:
        kind = ""
        rows = more if line_end and not first.strip() else rows
    if not rows.strip():
        raise Refusal("The code block is empty: paste a header and rows between two lines of ```.", "file")
    words = " ".join([before, *behind[:1]]).strip()
    then = re.sub(rf"^{WORD}\b\s*", "", words, flags=re.IGNORECASE)
    return Check(rows=rows.rstrip("\n") + "\n", kind=kind or _kind(rows), then=then)


def _kind(rows: str) -> str:
    return "jsonl" if rows.lstrip().startswith("{") else "csv"
