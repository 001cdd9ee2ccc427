"""What changes a repo: commits, and the branches and tags that name them."""

import asyncio
import base64
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from adapters.localhub.answers import No, no_revision
from adapters.localhub.api import Hub, body, page, readable, revision, writable
from adapters.localhub.files import put_together
from adapters.localhub.info import stamp
from adapters.localhub.repos import Commit, File, Repo

LFS_ENDS = (".safetensors", ".bin", ".gguf", ".parquet", ".arrow", ".pt", ".onnx", ".zip", ".gz", ".npz", ".h5")
LFS_SIZE = 10_000_000
"""Bytes above which a file goes by LFS whatever its name."""


async def preupload(request: web.Request) -> web.Response:
    hub, repo, _ = writable(request)
    commit = hub.shelf.at(repo, revision(request))
    files = (await body(request)).get("files", [])
    return web.json_response({"files": [upload_mode(commit, one) for one in files]})


def upload_mode(commit: Commit, one: dict[str, Any]) -> dict[str, Any]:
    path, size = str(one["path"]), int(one["size"])
    is_binary = b"\0" in base64.b64decode(one.get("sample", ""))
    is_lfs = path.endswith(LFS_ENDS) or size > LFS_SIZE or is_binary
    told: dict[str, Any] = {"path": path, "uploadMode": "lfs" if is_lfs else "regular", "shouldIgnore": False}
    there = commit.file(path)
    if there and there.is_lfs == is_lfs:
        told["oid"] = there.sha256 if is_lfs else there.oid
    return told


def check_path(path: str) -> str:
    parts = path.split("/")
    if not path or any(part in ("", ".", "..", ".git") for part in parts) or re.search(r"[\0-\x1f\\]", path):
        raise No(400, f"Not a path inside a repo: {path!r}")
    return path


def change(hub: Hub, files: dict[str, File], line: dict[str, Any]) -> None:
    """Apply one line of a commit to the files of its parent."""
    key, value = line.get("key"), line["value"]
    path = check_path(str(value["path"]).rstrip("/"))
    if key == "file":
        content = base64.b64decode(value["content"]) if value.get("encoding") == "base64" else value["content"].encode()
        if hub.tokens.leaks_into(content):
            raise No(400, f"{path}: one or more of your files contain valid Hugging Face secrets")
        files[path] = hub.shelf.keep(path, content)
    elif key == "lfsFile":
        files[path] = hub.shelf.keep_uploaded(path, str(value["oid"]))
    elif key == "deletedFile":
        if files.pop(path, None) is None:
            raise No(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    elif key == "deletedFolder":
        for name in [name for name in files if name.startswith(f"{path}/")]:
            del files[name]
    else:
        raise No(400, f"Unknown line of a commit: {key}")


async def commit(request: web.Request) -> web.Response:
    hub, repo, who = writable(request)
    lines = [msgspec.json.decode(line) for line in (await request.read()).splitlines() if line.strip()]
    named = {str(line["value"].get("oid")) for line in lines if line.get("key") == "lfsFile"}
    await asyncio.to_thread(put_together, hub.shelf, named)
    ref, is_pull = revision(request), bool(request.query.get("create_pr"))
    with hub.shelf.locked():
        made, target = add_commit(hub, hub.again(repo), ref, lines, who.name, is_pull)
    url = page(request, repo.kind, repo.id)
    told = {"success": True, "commitUrl": f"{url}/commit/{made.id}", "commitOid": made.id}
    if target != ref:
        told["pullRequestUrl"] = f"{url}/discussions/{target.rpartition('/')[2]}"
    return web.json_response(told)


def add_commit(
    hub: Hub, repo: Repo, ref: str, lines: list[dict[str, Any]], author: str, is_pull: bool
) -> tuple[Commit, str]:
    """The new commit and the ref that names it: `ref` itself, or a new pull request."""
    header = next((line["value"] for line in lines if line.get("key") == "header"), None)
    if not header or not header.get("summary"):
        raise No(400, "A commit needs a header with a summary")
    head = hub.shelf.at(repo, ref)
    if ref not in repo.refs:
        raise no_revision(ref)
    if header.get("parentCommit") not in (None, "", head.id):
        raise No(412, "A commit has happened since. Please refresh and try again.")
    files = {file.path: file for file in head.files}
    for line in lines:
        if line.get("key") != "header":
            change(hub, files, line)
    kept = tuple(files[path] for path in sorted(files))
    made = hub.shelf.commit(repo, head.id, header["summary"], header.get("description", ""), author, kept)
    pulls = sum(name.startswith("refs/pr/") for name in repo.refs)
    target = f"refs/pr/{pulls + 1}" if is_pull else ref
    hub.shelf.save(replace(repo, refs={**repo.refs, target: made.id}))
    return made, target


async def branch(request: web.Request) -> web.Response:
    """Make (POST) or drop (DELETE) a branch."""
    hub, repo, _ = writable(request)
    name = request.match_info["branch"]
    start = (await body(request)).get("startingPoint", "main") if request.method == "POST" else ""
    with hub.shelf.locked():
        repo = hub.again(repo)
        if start:
            refs = named_too(repo.refs, name, hub.shelf.at(repo, start).id)
        elif name == "main":
            raise No(403, "The main branch stays")
        else:
            refs = without(repo.refs, name)
        hub.shelf.save(replace(repo, refs=refs))
    return web.json_response({})


async def tag(request: web.Request) -> web.Response:
    """Make (POST, on the revision of the path) or drop (DELETE, the tag of the path) a tag."""
    hub, repo, _ = writable(request)
    named_by_path = revision(request)
    name = str((await body(request)).get("tag", "")) if request.method == "POST" else ""
    with hub.shelf.locked():
        repo = hub.again(repo)
        if request.method == "DELETE":
            tags = without(repo.tags, named_by_path)
        else:
            tags = named_too(repo.tags, name, hub.shelf.at(repo, named_by_path).id)
        hub.shelf.save(replace(repo, tags=tags))
    return web.json_response({})


def named_too(names: Mapping[str, str], name: str, sha: str) -> dict[str, str]:
    if not name:
        raise No(400, "A branch or tag needs a name")
    if name in names:
        raise No(409, f"Reference already exists: {name}")
    return {**names, name: sha}


def without(names: Mapping[str, str], name: str) -> dict[str, str]:
    if name not in names:
        raise no_revision(name)
    return {other: sha for other, sha in names.items() if other != name}


async def open_pull(request: web.Request) -> web.Response:
    """A pull request is a ref `refs/pr/N`; this opens one that has a title and changes nothing yet."""
    hub, repo, who = writable(request)
    values = await body(request)
    if not values.get("pullRequest"):
        raise No(400, "This Hub keeps pull requests, no other discussions")
    header = {"summary": str(values.get("title", "")), "description": str(values.get("description", ""))}
    with hub.shelf.locked():
        lines = [{"key": "header", "value": header}]
        _, target = add_commit(hub, hub.again(repo), "main", lines, who.name, True)
    return web.json_response({"num": int(target.rpartition("/")[2]), "pullRequest": True})


async def pull(request: web.Request) -> web.Response:
    hub, repo = readable(request)
    number = int(request.match_info["number"])
    return web.json_response(pull_details(hub, repo, number))


def pull_details(hub: Hub, repo: Repo, number: int) -> dict[str, Any]:
    """Its title and author are those of its first commit; it is merged once `main` holds its last one."""
    merged = {commit.id for commit in hub.shelf.history(repo, "main")}
    own = list(own_commits(hub, repo, number))
    is_merged = repo.refs[pull_ref(repo, number)] in merged
    first = own[-1] if own else hub.shelf.at(repo, pull_ref(repo, number))
    return {
        "title": first.title,
        "num": number,
        "author": {"name": first.author},
        "createdAt": stamp(first.at),
        "status": "merged" if is_merged else "open",
        "repo": {"name": repo.id, "type": repo.kind.removesuffix("s")},
        "isPullRequest": True,
        "events": [],
        "changes": {"base": "main"},
        "filesWithConflicts": [],
        "diff": "",
    }


def pull_ref(repo: Repo, number: int) -> str:
    ref = f"refs/pr/{number}"
    if ref not in repo.refs:
        raise no_revision(ref)
    return ref


def own_commits(hub: Hub, repo: Repo, number: int) -> Iterator[Commit]:
    """Those of a pull request that `main` has not, the newest first."""
    main = {commit.id for commit in hub.shelf.history(repo, "main")}
    return itertools.takewhile(lambda one: one.id not in main, hub.shelf.history(repo, pull_ref(repo, number)))


async def merge_pull(request: web.Request) -> web.Response:
    """`main` becomes what the pull request is; refused where `main` went on since: nothing is merged by line here."""
    hub, repo, _ = writable(request)
    with hub.shelf.locked():
        repo = hub.again(repo)
        ref = pull_ref(repo, int(request.match_info["number"]))
        if repo.refs["main"] not in {commit.id for commit in hub.shelf.history(repo, ref)}:
            raise No(409, "The main branch went on since: open the pull request again.")
        hub.shelf.save(replace(repo, refs={**repo.refs, "main": repo.refs[ref]}))
    return web.json_response({})
