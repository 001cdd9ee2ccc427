"""The child that pushes: `python -m engine push FOLDER [--to ns/name]`. It is the only process with the writer's token.

Order matters: rights, then the repo (its visibility read back before the first byte), then one commit on the head that
was read, a tag, and every file's hash as the Hub has it. A lost answer is found out by reading the head.
"""

import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import CommitInfo, CommitOperationAdd, ModelInfo

from engine.events import EventLog, read_events
from engine.folder import RunFolder
from engine.hub import client, names, rights
from engine.hub.upload.card import snippet, with_endpoint
from engine.hub.upload.claim import Pushing, claim, let_go, mark, title
from engine.hub.upload.stage import Staged, sha256_of, stage
from engine.refusal import Refusal

PASSED = (
    *("PATH", "HF_ENDPOINT", "HF_TOKEN", "OMP_NUM_THREADS", "LD_LIBRARY_PATH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
)
"""What the program that loads the model from the Hub gets to know."""
LOAD_S = 1800.0
DEADLINE_S = 600.0
"""How long passing trouble of the Hub is waited out within one attempt; then the run waits and is pushed again."""
FIRST_WORD_S = 60.0
"""How long the Hub is asked for its first answer: a later attempt during an outage keeps no place for longer."""
UPLOAD_S = 12 * 3600.0
"""How long one upload may take in all before it is begun anew, should a library hang."""
TICK_S = 60.0
"""Seconds between two signs of life while the bytes go."""
SILENCE_S = 120.0
"""How long the Hub may say nothing while it takes a file or makes a commit."""


def push(path: Path, to: str = "", deadline_s: float = DEADLINE_S) -> bool:
    """Put the trained model of a run's folder on the Hub; True when its last event is `finished`.

    `to` names the repo exactly; left out, it is the run's own target, with a number behind where that is taken.
    """
    folder = RunFolder(path)
    if not folder.spec_file.exists():
        raise Refusal(f"{path} is no run's folder: it has no spec.json.")
    attempt = folder.current_attempt("push")
    log = EventLog(attempt.folder, attempt.run, attempt.name)
    log.write("started")
    try:
        carry_out(folder, log, attempt.folder, to, deadline_s)
    except Refusal as refusal:
        is_away = client.is_passing(refusal)
        more = {"code": "away", "wait_s": client.asked_pause(refusal)} if is_away else {"code": "hub"}
        log.write("failed", reason=refusal.text, **more)
        return False
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        log.write("failed", reason=f"Pushing broke with {type(error).__name__}; the log has the rest.", code="crash")
        return False
    return True


def last_words(path: Path, as_json: bool) -> str:
    """How the last push of a folder ended: its last event as JSON, or a line for people."""
    folder = RunFolder(path)
    last = read_events(folder.attempts / f"push-{folder.last_number('push')}" / "events.jsonl")[-1]
    if as_json:
        return last.to_line().rstrip()
    return str(last.data.get("url") or last.data.get("reason") or last.kind)


def carry_out(folder: RunFolder, log: EventLog, work: Path, to: str, deadline_s: float) -> None:
    trained = folder.finished("train")
    if trained is None:
        raise Refusal(f"Run {log.run} has no finished training, so there is nothing to push.")
    spec = folder.read_spec()
    wish = to or spec.target.repo
    if not wish:
        raise Refusal(f"Run {log.run} names no repo to push to: say --to namespace/name.", "repo")
    names.check(wish)
    token, address = os.environ.get("HF_TOKEN") or None, client.endpoint()
    deadline = time.monotonic() + deadline_s
    try:
        rights.check(token, wish.split("/")[0], address, min(deadline, time.monotonic() + FIRST_WORD_S))
        pushing = Pushing(client.connect(token, address, SILENCE_S), address, folder, log, deadline)
        is_loopback = client.is_loopback(address)
        if spec.target.is_pull_request and not to:
            offer(pushing, stage(folder, trained, spec, work / "upload", wish, is_loopback), wish)
            return
        repo, head = claim(pushing, wish, is_exact=bool(to) or spec.target.is_exact)
        staged = stage(folder, trained, spec, work / "upload", repo, is_loopback)
        deliver(pushing, staged, repo, head)
        let_go(pushing, repo)
    except client.TROUBLE as error:
        if isinstance(error, OSError) and error.errno and not client.status(error) and not client.is_unreachable(error):
            raise  # the disk, not the Hub
        traceback.print_exc(file=sys.stderr)
        raise client.explain(error, wish, address, bool(token)) from error


def deliver(pushing: Pushing, staged: Staged, repo: str, head: ModelInfo) -> None:
    """One commit, its tag, every hash compared; then `finished`."""
    files = staged.files()
    total = sum(path.stat().st_size for path in files)
    pushing.log.write("phase", phase="pushing", done_bytes=0, total_bytes=total)
    sha = commit(pushing, repo, files, str(head.sha))
    pushing.log.write("phase", phase="pushing", done_bytes=total, total_bytes=total)
    tag = names.tag(pushing.log.run)
    pushing.call(lambda: pushing.api.create_tag(repo, tag=tag, revision=sha, exist_ok=True))
    finish(pushing, staged, repo, sha, f"{pushing.address}/{repo}", pushing.is_private)


def finish(
    pushing: Pushing, staged: Staged, repo: str, sha: str, url: str, is_private: bool, is_merged: bool = True
) -> None:
    """Compare every file with what lies at the commit, then say `finished`; the snippet loads what is merged."""
    hashes = compare(pushing, repo, sha, staged.files())
    text = with_endpoint(snippet(staged.facts.loading), pushing.address, pushing.address == client.PUBLIC)
    if is_merged:
        check_loads(text)
    pushing.log.write(
        "finished",
        repo=repo,
        revision=sha,
        url=url,
        is_private=is_private,
        snippet=text if is_merged else "",
        files=hashes,
    )


def check_loads(program: str) -> None:
    """Where VERIFY_LOAD asks for it: run the card's own program in a fresh process with an empty cache.

    Raises Refusal where the model cannot be loaded. It needs torch: VERIFY_PYTHON names an interpreter that has it.
    """
    if os.environ.get("VERIFY_LOAD") != "1":
        return
    command = [os.environ.get("VERIFY_PYTHON") or sys.executable, "-P", "-c", program]
    with tempfile.TemporaryDirectory() as place:
        variables = {name: os.environ[name] for name in PASSED if name in os.environ} | {"HF_HOME": place}
        try:
            done = subprocess.run(
                command,
                cwd=place,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LOAD_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Refusal(f"The model is on the Hub, but it did not load within {LOAD_S / 60:.0f} minutes.") from None
    if done.returncode:
        sys.stderr.write(done.stderr)
        why = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise Refusal(f"The model is on the Hub, but it does not load from there: {why}.", "repo")


def offer(pushing: Pushing, staged: Staged, repo: str) -> None:
    """The model as a pull request to a repo that is somebody's already; one that this run opened before is found."""
    head = pushing.call(lambda: client.info(pushing.api, repo))
    files = staged.files()

    def once() -> tuple[str, str]:
        opened = opened_before(pushing, repo)
        if opened:
            return opened
        made = upload(pushing, repo, files, str(head.sha), is_pull_request=True)
        return str(made.oid), str(made.pr_revision)

    sha, ref = pushing.call(once)
    url = f"{pushing.address}/{repo}/discussions/{ref.rpartition('/')[2]}"
    finish(pushing, staged, repo, sha, url, bool(head.private), is_merged=False)


def opened_before(pushing: Pushing, repo: str) -> tuple[str, str] | None:
    """(commit, ref) of the pull request that bears this run's mark."""
    for ref in pushing.api.list_repo_refs(repo, include_pull_requests=True).pull_requests or []:
        last = pushing.api.list_repo_commits(repo, revision=ref.ref)[0]
        if last.title == title(pushing.log.run) and mark(pushing.folder) in last.message:
            return str(last.commit_id), str(ref.ref)
    return None


def commit(pushing: Pushing, repo: str, files: list[Path], parent: str) -> str:
    """The commit that holds the files: made now on `parent`, or found to be there already."""

    def once() -> str:
        now = client.info(pushing.api, repo)
        if is_same(now, files):
            return str(now.sha)
        return str(upload(pushing, repo, files, parent).oid)

    return pushing.call(once)


def upload(pushing: Pushing, repo: str, files: list[Path], parent: str, is_pull_request: bool = False) -> CommitInfo:
    """The bytes, then the commit. Now and then it is told that it goes on, since both are one call of the client."""
    made: list[CommitInfo] = []
    total = sum(path.stat().st_size for path in files)

    def work() -> None:
        made.append(
            pushing.api.create_commit(
                repo,
                [CommitOperationAdd(path.name, path) for path in files],
                commit_message=title(pushing.log.run),
                commit_description=mark(pushing.folder),
                parent_commit=parent,
                create_pr=is_pull_request,
            )
        )

    try:
        client.with_ticks(
            work, lambda: pushing.log.write("phase", phase="pushing", total_bytes=total), TICK_S, UPLOAD_S
        )
    except ConnectionError as error:
        client.ask_for_xet(pushing.api, repo, is_pull_request)  # the Xet library keeps the Hub's own words to itself
        raise error
    return made[0]


def is_same(head: ModelInfo, files: list[Path]) -> bool:
    return not list(differing(head, files))


def differing(head: ModelInfo, files: list[Path]) -> Iterator[str]:
    """Names of files that the Hub has not, or not with these bytes: LFS by sha256, small ones by git's hash."""
    there = {sibling.rfilename: sibling for sibling in head.siblings or []}
    for path in files:
        sibling = there.get(path.name)
        if sibling is None:
            yield path.name
        elif sibling.lfs is not None:
            if sibling.lfs.sha256 != sha256_of(path):
                yield path.name
        elif sibling.blob_id != names.git_hash(path.read_bytes()):
            yield path.name


def compare(pushing: Pushing, repo: str, sha: str, files: list[Path]) -> dict[str, str]:
    """Each file's sha256, as the Hub has it: told by it for LFS, computed from what it sends for the others.

    Raises Refusal where one differs from what lies here.
    """
    head = pushing.call(lambda: client.info(pushing.api, repo, sha))
    large = {sibling.rfilename: sibling.lfs.sha256 for sibling in head.siblings or [] if sibling.lfs is not None}
    hashes = {}
    with tempfile.TemporaryDirectory() as place:
        for path in files:
            remote = large.get(path.name) or read_back(pushing, repo, sha, path.name, place)
            if remote != sha256_of(path):
                raise Refusal(
                    f"{path.name} lies at {repo} with other bytes than here (commit {sha[:12]}): push again.", "repo"
                )
            hashes[path.name] = remote
    return hashes


def read_back(pushing: Pushing, repo: str, sha: str, name: str, place: str) -> str:
    return sha256_of(Path(pushing.call(lambda: pushing.api.hf_hub_download(repo, name, revision=sha, local_dir=place))))
