"""The repo of a run: made before anything is trained, marked, found again, and removed where no model came of it.

It is a run's own by two things together: the run's folder says that it asked for it, and its last commit bears the
run's mark. Everybody else's repos are never touched.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from huggingface_hub import CommitOperationAdd, HfApi, ModelInfo
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from engine.events import EventLog, read_events
from engine.folder import CLAIM, RunFolder
from engine.hub import client, names, rights
from engine.refusal import Refusal

EMPTY = (".gitattributes",)
"""What the Hub itself puts into a new repo."""
NOTE = """---
tags: [threadtune]
---

# {name}

A model is being trained for this place (run {run}). If that fails, this repo goes away again.
"""
GATES: Mapping[str, Literal["auto", "manual"]] = {"auto": "auto", "manual": "manual"}
T = TypeVar("T")


@dataclass(frozen=True)
class Pushing:
    """One visit for a run: who speaks to which Hub until when, and where it tells how it goes."""

    api: HfApi
    address: str
    folder: RunFolder
    log: EventLog
    deadline: float
    comfort: str = "the model is safe here and I keep trying"

    @property
    def is_private(self) -> bool:
        return self.folder.read_spec().target.is_private

    def call(self, work: Callable[[], T]) -> T:
        return client.retried(work, self.deadline, self.tell)

    def tell(self, error: BaseException) -> None:
        code = client.status(error)
        away = "has trouble" if client.is_garbled(error) else "cannot be reached"
        trouble = f"has trouble (status {code})" if code else away
        self.log.write("warning", text=f"The Hub {trouble}; {self.comfort}.")


def reserve(folder: RunFolder, log: EventLog, patience_s: float) -> None:
    """Make the repo of a run that wants one, private or as its spec says, and mark it; again, it finds its own.

    Passing trouble of the Hub is no reason not to train: the repo is then made when the model is pushed.
    Raises Refusal for what somebody has to mend first.
    """
    target = folder.read_spec().target
    wish = target.repo
    if not wish:
        return
    token, address = os.environ.get("HF_TOKEN") or None, client.endpoint()
    deadline = time.monotonic() + patience_s
    try:
        rights.check(token, names.check(wish).split("/")[0], address, deadline)
        pushing = Pushing(client.connect(token, address), address, folder, log, deadline, "I try again")
        if target.is_pull_request:
            pushing.call(lambda: client.info(pushing.api, wish))
            return
        repo, _ = claim(pushing, wish, target.is_exact)
        marker = leave_note(pushing, repo)
        (folder.path / CLAIM).write_text(json.dumps({"repo": repo, "marker": marker}))
    except (Refusal, *client.TROUBLE) as error:
        if not client.is_passing(error):
            raise client.explain(error, wish, address, bool(token)) from error
        log.write("warning", text="The Hub cannot be reached now, so the repo is made once the model is trained.")
        return
    if repo != wish:
        log.write("warning", text=f"There is a repo {wish} already, so the model goes to {repo}.")


def leave_note(pushing: Pushing, repo: str) -> str:
    """The commit that marks an empty repo as this run's, made now or before."""

    def once() -> str:
        now = client.info(pushing.api, repo)
        if not is_untouched(now):
            return str(now.sha)
        note = NOTE.format(name=repo.split("/")[1], run=pushing.log.run)
        made = pushing.api.create_commit(
            repo,
            [CommitOperationAdd("README.md", note.encode())],
            commit_message=waiting(pushing.log.run),
            commit_description=mark(pushing.folder),
            parent_commit=str(now.sha),
        )
        return str(made.oid)

    return pushing.call(once)


def release(path: Path, deadline_s: float = 30) -> bool:
    """Remove the repo that was made for a run and never got a model; True when nothing is left to do.

    A repo whose last commit is not our note any more is somebody's work, and stays.
    """
    file = path / CLAIM
    if not file.exists():
        return True
    claimed = json.loads(file.read_text())
    api = client.connect(os.environ.get("HF_TOKEN") or None)
    try:
        client.retried(lambda: remove(api, claimed["repo"], claimed["marker"]), time.monotonic() + deadline_s)
    except client.TROUBLE:
        traceback.print_exc(file=sys.stderr)
        return False
    file.unlink(missing_ok=True)
    return True


def remove(api: HfApi, repo: str, marker: str) -> None:
    try:
        if client.info(api, repo).sha == marker:
            api.delete_repo(repo)
    except RepositoryNotFoundError:
        return


def let_go(pushing: Pushing, repo: str) -> None:
    """The model is at `repo`: forget the claim on it, or remove the other repo that was made for it."""
    file = pushing.folder.path / CLAIM
    if file.exists() and json.loads(file.read_text())["repo"] == repo:
        file.unlink()
    release(pushing.folder.path, 0)


def claim(pushing: Pushing, wish: str, is_exact: bool) -> tuple[str, ModelInfo]:
    """A repo of our own and what it holds: made now, or by an earlier attempt of this run. Others' are never touched.

    Raises Refusal where `wish` must be it and is somebody else's, or where the Hub does not keep it private.
    """
    ours = announced(pushing, wish, is_exact)
    wished = [wish] if is_exact else names.candidates(wish)
    for repo in dict.fromkeys([*ours, *wished]):
        head = claim_one(pushing, repo, is_ours=repo in ours)
        if head is not None:
            return repo, head
    raise Refusal(
        f"There is already a repo {wish}, which this run did not make: name another, or send it as a pull request.",
        "repo",
    )


def claim_one(pushing: Pushing, repo: str, is_ours: bool) -> ModelInfo | None:
    """What the repo holds, if it could be made now or was made by this run before; None where it is somebody else's."""
    # Told before it is asked for, since the answer may get lost. A later version has to read `claim` as well.
    pushing.log.write("phase", phase="making its repo", claim="asked", repo=repo)
    asked = []

    def ask() -> bool:
        asked.append(repo)
        return create(pushing, repo)

    is_new = pushing.call(ask)
    if is_new or is_ours or len(asked) > 1:
        head = pushing.call(lambda: client.info(pushing.api, repo))
        if is_new or is_untouched(head) or has_our_commit(pushing, repo):
            check_visibility(pushing, repo, head)
            gate(pushing, repo, head)
            return head
    pushing.log.write("phase", phase="finding another name", claim="taken", repo=repo)
    return None


def announced(pushing: Pushing, wish: str, is_exact: bool) -> list[str]:
    """Repos of the wished name that earlier attempts of this run asked for and did not find taken."""
    kept: dict[str, bool] = {}
    for path in sorted(pushing.folder.attempts.glob("*/events.jsonl")):
        for event in read_events(path):
            if event.data.get("claim") in ("asked", "taken"):
                kept[str(event.data["repo"])] = event.data["claim"] == "asked"
    wished = {wish} if is_exact else {wish, *names.candidates(wish)}
    return [repo for repo, is_kept in kept.items() if is_kept and repo in wished]


def create(pushing: Pushing, repo: str) -> bool:
    """Ask for the repo; False when there is one of that name already."""
    try:
        pushing.api.create_repo(repo, private=pushing.is_private, exist_ok=False)
    except HfHubHTTPError as error:
        if client.status(error) == 409:
            return False
        raise
    return True


def is_untouched(head: ModelInfo) -> bool:
    return all(sibling.rfilename in EMPTY for sibling in head.siblings or [])


def title(run: str) -> str:
    return f"Model of run {run}"


def waiting(run: str) -> str:
    return f"Made for run {run}"


def has_our_commit(pushing: Pushing, repo: str) -> bool:
    """Whether the last commit is one of this run, by its title and by the mark of its rows."""
    last = pushing.call(lambda: pushing.api.list_repo_commits(repo))[0]
    run = pushing.log.run
    return last.title in (title(run), waiting(run)) and mark(pushing.folder) in last.message


def mark(folder: RunFolder) -> str:
    """What tells this run from one of the same number elsewhere."""
    spec = folder.read_spec()
    return f"{spec.method} on {spec.model.id}, rows {spec.train.sha256}"


def gate(pushing: Pushing, repo: str, head: ModelInfo) -> None:
    """Where HF_GATED says so, people have to ask for a public model: `auto` gives it to all of them, `manual` to those
    who are let in by hand."""
    wanted = GATES.get(os.environ.get("HF_GATED", ""))
    if wanted and not pushing.is_private and head.gated != wanted:
        pushing.call(lambda: pushing.api.update_repo_settings(repo, gated=wanted))


def check_visibility(pushing: Pushing, repo: str, head: ModelInfo) -> None:
    if bool(head.private) != pushing.is_private:
        wanted, found = ("private", "public") if pushing.is_private else ("public", "private")
        raise Refusal(
            f"{repo} was to be {wanted}, but the Hub made it {found}: nothing was uploaded. "
            f"Set its visibility at {pushing.address}/{repo}/settings, then push again.",
            "repo",
        )
