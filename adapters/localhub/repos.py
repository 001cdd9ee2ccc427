"""Repos on disk: contents by sha256, commits as lists of files, a small record for each repo.

blobs/<two digits>/<sha256>          repos/<kind>/<namespace>/<name>/repo.json, commits/<sha1>.json

Every file is written beside its place and renamed into it, so that a stop at any time loses at most what was not
answered yet. `kind` is models or datasets.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from adapters.localhub.answers import No, no_repo, no_revision

KINDS = ("models", "datasets")
ABANDONED_S = 24 * 3600
"""Age of an upload that no commit will ask for any more."""
NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
ATTRIBUTES = "".join(
    f"*.{end} filter=lfs diff=lfs merge=lfs -text\n" for end in ("safetensors", "bin", "gguf", "parquet")
)


@dataclass(frozen=True)
class File:
    """`oid` is git's: of the content, or of the pointer for a file that is stored by LFS."""

    path: str
    size: int
    sha256: str
    oid: str
    is_lfs: bool


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str
    title: str
    message: str
    author: str
    at: float
    files: tuple[File, ...]

    def file(self, path: str) -> File | None:
        return next((file for file in self.files if file.path == path), None)


@dataclass(frozen=True)
class Repo:
    """`refs` are branches and pull requests (`refs/pr/N`), each with the id of its last commit."""

    kind: str
    id: str
    visibility: str
    at: float
    refs: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    gated: str = ""
    """Empty, `auto` or `manual`."""

    @property
    def namespace(self) -> str:
        return self.id.split("/")[0]

    @property
    def is_private(self) -> bool:
        return self.visibility != "public"


def check_name(repo: str) -> None:
    namespace, _, name = repo.partition("/")
    good = all(NAME.fullmatch(part) and "--" not in part and ".." not in part for part in (namespace, name))
    if not good or name.endswith(".git") or len(repo) > 96:
        raise No(400, f"Invalid repo name: {repo!r}. Use letters, digits, '-', '_' and '.', at most 96 of them.")


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    """What git itself stores of an LFS file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def is_older(path: Path, age_s: float) -> bool:
    return time.time() - path.stat().st_mtime > age_s


class Shelf:
    """All repos under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.incoming = self.root / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        for path in self.incoming.iterdir():
            if is_older(path, ABANDONED_S):
                path.unlink()
        for path in [*self.root.glob("xet/**/*")]:
            if path.is_file() and is_older(path, ABANDONED_S):
                path.unlink()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Held while a repo is read and changed; two Hubs over one folder wait for each other, for milliseconds."""
        with (self.root / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def folder(self, kind: str, repo: str) -> Path:
        check_name(repo)
        if kind not in KINDS:
            raise no_repo()
        return self.root / "repos" / kind / repo

    def blob(self, sha256: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise No(400, f"Not a sha256: {sha256!r}")
        return self.root / "blobs" / sha256[:2] / sha256

    def xet_folder(self) -> Path:
        """Where clients that speak Xet leave chunks; `put_together` makes contents of them."""
        place = self.root / "xet"
        place.mkdir(exist_ok=True)
        return place

    def find(self, kind: str, repo: str) -> Repo | None:
        record = self.folder(kind, repo) / "repo.json"
        return msgspec.json.decode(record.read_bytes(), type=Repo) if record.exists() else None

    def list(self, kind: str) -> Iterator[Repo]:
        for record in sorted((self.root / "repos" / kind).glob("*/*/repo.json")):
            yield msgspec.json.decode(record.read_bytes(), type=Repo)

    def save(self, repo: Repo) -> None:
        write_whole(self.folder(repo.kind, repo.id) / "repo.json", msgspec.json.format(msgspec.json.encode(repo)))

    def create(self, kind: str, repo: str, visibility: str, author: str) -> Repo:
        """A new repo with its first commit; the caller has seen that there is none of that name."""
        made = Repo(kind, repo, visibility, time.time(), {})
        first = self.commit(made, "", "initial commit", "", author, (self.keep(".gitattributes", ATTRIBUTES.encode()),))
        made = replace(made, refs={"main": first.id})
        self.save(made)
        return made

    def delete(self, repo: Repo) -> None:
        """Drop a repo, and the contents that no other repo has; what was put lately may belong to a commit to come."""
        shutil.rmtree(self.folder(repo.kind, repo.id))
        kept = {file.sha256 for commit in self.commits() for file in commit.files}
        for blob in self.root.glob("blobs/*/*"):
            if blob.name not in kept and is_older(blob, ABANDONED_S):
                blob.unlink()

    def commits(self) -> Iterator[Commit]:
        for path in self.root.glob("repos/*/*/*/commits/*.json"):
            yield msgspec.json.decode(path.read_bytes(), type=Commit)

    def keep(self, path: str, content: bytes) -> File:
        """Store a small file."""
        sha256 = hashlib.sha256(content).hexdigest()
        if not self.blob(sha256).exists():
            write_whole(self.blob(sha256), content)
        return File(path, len(content), sha256, git_oid(content), is_lfs=False)

    def keep_uploaded(self, path: str, sha256: str) -> File:
        """A file whose content was put by LFS before."""
        if not self.blob(sha256).exists():
            raise No(400, f"{path}: its content was not uploaded")
        size = self.blob(sha256).stat().st_size
        return File(path, size, sha256, git_oid(pointer(sha256, size)), is_lfs=True)

    def commit(self, repo: Repo, parent: str, title: str, message: str, author: str, files: tuple[File, ...]) -> Commit:
        """Write a commit; the refs still have to be moved to it."""
        at = time.time()
        listed = "".join(f"{file.path}\0{file.oid}\n" for file in files)
        text = f"{repo.kind}/{repo.id}\n{parent}\n{at}\n{author}\n{title}\n{message}\n{listed}"
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        made = Commit(sha, parent, title, message, author, at, files)
        write_whole(self.folder(repo.kind, repo.id) / "commits" / f"{sha}.json", msgspec.json.encode(made))
        return made

    def read_commit(self, repo: Repo, sha: str) -> Commit:
        path = self.folder(repo.kind, repo.id) / "commits" / f"{sha}.json"
        if not re.fullmatch(r"[0-9a-f]{40}", sha) or not path.exists():
            raise no_revision(sha)
        return msgspec.json.decode(path.read_bytes(), type=Commit)

    def at(self, repo: Repo, revision: str) -> Commit:
        """The commit that a branch, tag, pull request or full sha names."""
        return self.read_commit(repo, repo.refs.get(revision) or repo.tags.get(revision) or revision)

    def history(self, repo: Repo, revision: str) -> Iterator[Commit]:
        commit = self.at(repo, revision)
        yield commit
        while commit.parent:
            commit = self.read_commit(repo, commit.parent)
            yield commit

    def read(self, file: File) -> bytes:
        return self.blob(file.sha256).read_bytes()
