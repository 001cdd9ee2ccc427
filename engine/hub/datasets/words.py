"""`hf:org/name[config]:train[:1000]` → a repo, a configuration, a split and a slice. Pure."""

import re
from dataclasses import dataclass

from engine.data.shown import shown
from engine.refusal import Refusal

PREFIX = "hf:"
WORDS = re.compile(
    r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?(?:\[(?P<config>[\w.-]+)\])?"
    r"(?::(?P<split>\w+))?(?:\[(?P<start>\d*):(?P<end>\d*)\])?"
)
EXAMPLE = "hf:org/name, hf:org/name:train[:1000] or hf:org/name[config]:train[:1000]"
LONGEST_REPO = 96


@dataclass(frozen=True)
class HubDataset:
    """`start` and `end` are rows as in a slice of Python, `end` None is all of them; what is empty was not said."""

    repo: str
    revision: str = ""
    config: str = ""
    split: str = "train"
    start: int = 0
    end: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.end is None

    def file_name(self, sha: str, suffix: str) -> str:
        """What people see of it: the repo and its commit, and what of it was taken."""
        rows = "" if self.is_whole else f"{self.start}-{'' if self.end is None else self.end}"
        parts = (self.repo.rpartition("/")[2], sha[:12], self.config, self.split, rows)
        return "-".join(filter(None, parts)) + suffix


def is_words(text: str) -> bool:
    return text.startswith(PREFIX)


def parse(text: str) -> HubDataset:
    """Raises Refusal with an example of what would have been understood."""
    found = WORDS.fullmatch(text.strip().removeprefix(PREFIX))
    repo = found["repo"] if found else ""
    if found is None or ".." in repo or "--" in repo or len(repo) > LONGEST_REPO:
        raise Refusal(f"{shown(text)} names no dataset of the Hub; write {EXAMPLE}. Slices count rows.", "file")
    end = int(found["end"]) if found["end"] else None
    start = int(found["start"] or 0)
    if end is not None and end <= start:
        raise Refusal(f"The slice [{start}:{end}] holds no row; the second number has to be larger.", "file")
    return HubDataset(repo, found["revision"] or "", found["config"] or "", found["split"] or "train", start, end)
