"""Names of repos: made from who pushes, what the data is called, the method and the day. No network here."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from pathlib import PurePath

from engine.refusal import Refusal

LONGEST = 96
"""Characters of a whole repo id, `namespace/name`."""
TRIES = 50
PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


def slug(text: str) -> str:
    """The text as a part of a name: ASCII letters, digits and single dashes; may be empty."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def repo_name(namespace: str, project: str, method: str, day: date) -> str:
    """`namespace/project-method-yyyy-mm-dd`, e.g. `acme/support-answers-sft-2026-03-01`.

    `project` may be a file's name: its ending and folders are left out.
    """
    tail = f"-{slug(method)}-{day:%Y-%m-%d}"
    room = LONGEST - len(namespace) - 1 - len(tail) - len("-00")
    stem = slug(PurePath(project.replace("\\", "/")).stem) or "model"
    return check(f"{namespace}/{stem[:room].strip('-')}{tail}")


def check(repo: str) -> str:
    """The repo id itself; raises Refusal for one that the Hub would not take."""
    parts = repo.split("/")
    fits = len(parts) == 2 and all(PART.fullmatch(part) for part in parts) and len(repo) <= LONGEST
    if fits and not re.search(r"--|\.\.", repo) and not repo.endswith(".git"):
        return repo
    raise Refusal(
        f"“{repo}” cannot be the name of a repo: write it as namespace/name, with letters, digits, “-”, “_” and “.” "
        f"only, no “--” or “..”, at most {LONGEST} characters.",
        "repo",
    )


def candidates(repo: str) -> Iterator[str]:
    """The name that is wished for, then the same with -2, -3, … for when it is taken."""
    yield repo
    for number in range(2, TRIES):
        yield f"{repo[: LONGEST - 3].rstrip('-.')}-{number}"


def tag(run: str) -> str:
    """The tag that marks the commit of a run."""
    return f"run-{slug(run) or 'local'}"


def git_hash(content: bytes) -> str:
    """The name that git gives to a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
