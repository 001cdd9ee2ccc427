"""What changes a repo: commits, and the branches and tags that name them."""

import base64
import re
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from adapters.localhub.answers import No, no_revision
from adapters.localhub.api import Hub, body, page, revision, writable
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
    header = next((line["value"] for line in lines if line.get("key") == "header"), None)
    if not header or not header.get("summary"):
        raise No(400, "A commit needs a header with a summary")
    async with hub.lock:
        repo = hub.shelf.find(repo.kind, repo.id) or repo
        ref = revision(request)
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
        made = hub.shelf.commit(repo, head.id, header["summary"], header.get("description", ""), who.name, kept)
        target = new_pull(repo) if request.query.get("create_pr") else ref
        hub.shelf.save(replace(repo, refs={**repo.refs, target: made.id}))
    url = page(request, repo.kind, repo.id)
    told = {"success": True, "commitUrl": f"{url}/commit/{made.id}", "commitOid": made.id}
    if target != ref:
        told["pullRequestUrl"] = f"{url}/discussions/{target.rpartition('/')[2]}"
    return web.json_response(told)


def new_pull(repo: Repo) -> str:
    return f"refs/pr/{sum(name.startswith('refs/pr/') for name in repo.refs) + 1}"


async def branch(request: web.Request) -> web.Response:
    """Make (POST) or drop (DELETE) a branch."""
    hub, repo, _ = writable(request)
    name = request.match_info["branch"]
    start = (await body(request)).get("startingPoint", "main") if request.method == "POST" else ""
    async with hub.lock:
        if request.method == "DELETE":
            if name == "main" or name not in repo.refs:
                raise no_revision(name) if name != "main" else No(403, "The main branch stays")
            kept = {ref: sha for ref, sha in repo.refs.items() if ref != name}
        elif name in repo.refs:
            raise No(409, f"Reference already exists: {name}")
        else:
            kept = {**repo.refs, name: hub.shelf.at(repo, start).id}
        hub.shelf.save(replace(repo, refs=kept))
    return web.json_response({})


async def tag(request: web.Request) -> web.Response:
    """Make (POST, on the revision of the path) or drop (DELETE, the tag of the path) a tag."""
    hub, repo, _ = writable(request)
    named_by_path = revision(request)
    name = str((await body(request)).get("tag", "")) if request.method == "POST" else named_by_path
    async with hub.lock:
        if request.method == "DELETE":
            if name not in repo.tags:
                raise no_revision(name)
            kept = {tag: sha for tag, sha in repo.tags.items() if tag != name}
        elif not name or name in repo.tags:
            raise No(409 if name else 400, f"Tag already exists: {name}" if name else "A tag needs a name")
        else:
            kept = {**repo.tags, name: hub.shelf.at(repo, named_by_path).id}
        hub.shelf.save(replace(repo, tags=kept))
    return web.json_response({})
