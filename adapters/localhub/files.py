"""The contents: uploads by LFS, downloads by resolve."""

import hashlib
import tempfile
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from adapters.localhub.answers import No, no_entry
from adapters.localhub.api import HUB, Hub, body, readable, revision, writable

TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".json": "application/json",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".jinja": "text/plain; charset=utf-8",
}
"""What a browser may show; all else is only for saving, so that no file of a repo can act as a page."""
LFS_TYPE = "application/vnd.git-lfs+json"


async def batch(request: web.Request) -> web.Response:
    """Say where each object is to be put; objects that are here already get no action."""
    hub, _, _ = writable(request)
    values = await body(request)
    if values.get("operation") != "upload":
        raise No(400, "Only uploads are spoken here; files are read by resolve")
    here = f"{request.scheme}://{request.host}/-/lfs"
    told = {"transfer": "basic", "objects": [place(hub, here, one) for one in values.get("objects", [])]}
    return web.json_response(told, content_type=LFS_TYPE)


def place(hub: Hub, here: str, one: dict[str, Any]) -> dict[str, Any]:
    sha256, size = str(one["oid"]), int(one["size"])
    told: dict[str, Any] = {"oid": sha256, "size": size}
    if not hub.shelf.blob(sha256).exists():
        mark = hub.tokens.sign(f"{sha256}:{size}")
        put = {"href": f"{here}/{sha256}?size={size}&mark={mark}", "header": {}}
        told["actions"] = {"upload": put, "verify": {"href": f"{here}/verify", "header": {}}}
    return told


async def put(request: web.Request) -> web.Response:
    """Take an object. The address carries the right to put it, since the client sends no token here."""
    hub, sha256, size = request.app[HUB], request.match_info["sha256"], request.query.get("size", "")
    if not hub.tokens.is_signed(f"{sha256}:{size}", request.query.get("mark", "")):
        raise No(403, "This upload was not agreed on")
    hashed, count = hashlib.sha256(), 0
    with _open(hub) as file:
        async for chunk in request.content.iter_chunked(1 << 20):
            hashed.update(chunk)
            count += len(chunk)
            if count > int(size):
                break
            file.write(chunk)
        keep(hub, Path(file.name), sha256, is_whole=hashed.hexdigest() == sha256 and count == int(size))
    return web.Response(headers={"ETag": f'"{sha256}"'})


def _open(hub: Hub) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=hub.shelf.incoming, delete=False)


def keep(hub: Hub, path: Path, sha256: str, is_whole: bool) -> None:
    if not is_whole:
        path.unlink()
        raise No(400, "The content is not what was announced")
    target = hub.shelf.blob(sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


async def verify(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    hub.tokens.who(request)
    values = await body(request)
    blob = hub.shelf.blob(str(values.get("oid", "")))
    if size_of(blob) != values.get("size"):
        raise No(404, "The object is not here")
    return web.json_response({})


def size_of(blob: Path) -> int | None:
    return blob.stat().st_size if blob.exists() else None


async def resolve(request: web.Request) -> web.StreamResponse:
    """HEAD and GET of a file, with ranges."""
    hub, repo = readable(request)
    commit = hub.shelf.at(repo, revision(request))
    path = request.match_info["path"]
    file = commit.file(path)
    if file is None:
        raise no_entry(commit.id)
    mark = file.sha256 if file.is_lfs else file.oid
    headers = {
        "X-Repo-Commit": commit.id,
        "X-Linked-Etag": f'"{mark}"',
        "X-Linked-Size": str(file.size),
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": TYPES.get(Path(path).suffix.lower(), "application/octet-stream"),
    }
    if Path(path).suffix.lower() not in TYPES:
        headers["Content-Disposition"] = "attachment"
    return web.FileResponse(hub.shelf.blob(file.sha256), headers=headers)


async def own_etag(request: web.Request, response: web.StreamResponse) -> None:
    """A file answers with the Hub's ETag: its content's hash, not the time it was written."""
    if "X-Linked-Etag" in response.headers:
        response.headers["ETag"] = response.headers["X-Linked-Etag"]
