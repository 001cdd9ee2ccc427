"""A dataset of the Hub brought here as one file, at a commit that is told. Works in a child that has a deadline."""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetInfo, HfApi
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from engine.data.checks.outputs import as_json
from engine.data.findings import Findings
from engine.data.reading import CannotRead, read
from engine.hub import client
from engine.hub.datasets.choosing import choose
from engine.hub.datasets.words import HubDataset, parse
from engine.hub.download.look import sources
from engine.refusal import Refusal

WAIT_S = 10
PATIENCE_S = 20.0
"""How long trouble of the Hub is waited out before somebody who asks for a dataset hears of it."""
CONVERTED = "refs/convert/parquet"
"""Where the Hub keeps its own Parquet form of datasets that come in another, or from a script."""


@dataclass(frozen=True)
class Brought:
    """What came: the file's name for people, the commit it is of, and how many rows were taken (0: all of a file)."""

    name: str
    repo: str
    sha: str
    rows: int


def bring(text: str, target: Path, cache: Path, limit_bytes: int) -> Brought:
    """Write the dataset that `text` names to `target`. Raises Refusal in words for whatever stands against it.

    One whole file is copied byte for byte; of several, or of a slice, the rows are written as JSONL.
    """
    wanted = parse(text)
    deadline = time.monotonic() + PATIENCE_S
    address, token, info = find(wanted, deadline)
    api = client.connect(token, address, WAIT_S)
    try:
        sha, names, sizes = _files(api, info, wanted, deadline)
        if len(names) == 1 and wanted.is_whole:
            check_size(wanted, sum(sizes[name] for name in names), limit_bytes)
            shutil.copyfile(_file(api, wanted, sha, names[0], cache, deadline), target)
            return Brought(wanted.file_name(sha, "".join(Path(names[0]).suffixes[-2:])[-12:]), wanted.repo, sha, 0)
        if wanted.end is None:
            check_size(wanted, sum(sizes[name] for name in names), limit_bytes)
        check_size(wanted, max(sizes[name] for name in names), limit_bytes)
        paths = (_file(api, wanted, sha, name, cache, deadline) for name in names)
        rows = write_rows(paths, wanted, target)
    except client.TROUBLE as error:
        raise explained(error, wanted, address, bool(token)) from error
    return Brought(wanted.file_name(sha, ".jsonl"), wanted.repo, sha, rows)


def find(wanted: HubDataset, deadline: float) -> tuple[str, str | None, DatasetInfo]:
    """The endpoint that has the dataset, the token for it, and what it says. Raises Refusal."""
    found: Refusal | None = None
    for address, token in sources(client.reader()):
        try:
            return address, token, client.retried(_asker(wanted, wanted.revision, address, token), deadline)
        except client.TROUBLE as error:
            found = explained(error, wanted, address, bool(token))
            if not isinstance(error, RepositoryNotFoundError) or isinstance(error, GatedRepoError):
                break
    raise found or Refusal("There is no Hub to ask.", "file")


def _asker(wanted: HubDataset, revision: str, address: str, token: str | None) -> Any:
    api = client.connect(token, address, WAIT_S)
    return lambda: api.dataset_info(wanted.repo, revision=revision or None, files_metadata=True, timeout=WAIT_S)


def _files(
    api: HfApi, info: DatasetInfo, wanted: HubDataset, deadline: float
) -> tuple[str, list[str], Mapping[str, int]]:
    """The commit, the files, and their bytes; the Hub's own Parquet where the repo has no file that a check reads."""
    sizes = {sibling.rfilename: sibling.size or 0 for sibling in info.siblings or []}
    configs = info.card_data.get("configs") if info.card_data else None
    try:
        return str(info.sha), choose(list(sizes), configs if isinstance(configs, list) else [], wanted), sizes
    except Refusal as refusal:
        try:
            again = client.retried(_asker(wanted, CONVERTED, api.endpoint, str(api.token or "") or None), deadline)
        except client.TROUBLE:
            raise refusal from None
        sizes = {sibling.rfilename: sibling.size or 0 for sibling in again.siblings or []}
        return str(again.sha), choose(list(sizes), [], wanted), sizes


def _file(api: HfApi, wanted: HubDataset, sha: str, name: str, cache: Path, deadline: float) -> Path:
    """The file in the cache, where an interrupted one goes on."""
    return Path(
        client.retried(
            lambda: api.hf_hub_download(
                wanted.repo, name, repo_type="dataset", revision=sha, cache_dir=cache / "hub"
            ),
            deadline,
        )
    )  # fmt: skip


def check_size(wanted: HubDataset, size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        words = f"{wanted.repo} has {size / 1e6:,.0f} MB of {wanted.split}, and I take {limit_bytes / 1e6:,.0f} MB."
        raise Refusal(f"{words} Take some rows: hf:{wanted.repo}:{wanted.split}[:1000].", "file")


def write_rows(paths: Iterator[Path], wanted: HubDataset, target: Path) -> int:
    """The rows of the slice as JSONL, values as they stand; how many. Raises Refusal where a file is broken."""
    end = wanted.end
    number = written = 0
    with target.open("w", encoding="utf-8", newline="\n") as out:
        for path in paths:
            for cells in _rows(path):
                if number >= wanted.start:
                    out.write(as_json(cells) + "\n")
                    written += 1
                number += 1
                if end is not None and number >= end:
                    return written
    if not written:
        raise Refusal(f"{wanted.split} of {wanted.repo} has {number:,} rows, so that slice is empty.", "file")
    return written


def _rows(path: Path) -> Iterator[Mapping[str, object]]:
    findings = Findings()
    try:
        for record in read(path, path.name, findings.add).rows:
            yield record.cells
    except CannotRead as error:
        raise Refusal(f"{path.name} of the dataset cannot be read: {error.text}", "file") from None
    refuse_faults(path, findings)


def refuse_faults(path: Path, findings: Findings) -> None:
    """A broken line among several files has no line of its own any more, so it is said here."""
    issues: Sequence[Any] = findings.issues()
    if findings.has_file_errors:
        first = next(issue for issue in issues if issue.severity == "error")
        raise Refusal(f"{path.name} of the dataset is broken. {first.message}", "file")


def explained(error: BaseException, wanted: HubDataset, address: str, has_token: bool) -> Refusal:
    page = f"{address}/datasets/{wanted.repo}"
    if isinstance(error, Refusal):
        return error
    if isinstance(error, GatedRepoError):
        return Refusal(client.gated(page, wanted.repo, has_token), "file")
    if isinstance(error, RevisionNotFoundError):
        return Refusal(
            f"{wanted.repo} is on the Hub, but not at {wanted.revision}: look at {page}/commits/main.", "file"
        )
    if isinstance(error, RepositoryNotFoundError):
        where = "the local Hub" if client.is_loopback(address) else "the Hub"
        return Refusal(
            f"There is no dataset {wanted.repo} on {where}, or it is private and our token cannot see it.", "file"
        )
    return client.by_status(error, wanted.repo, address)
