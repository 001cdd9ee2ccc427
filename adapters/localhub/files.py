"""The contents: uploads by LFS or Xet, downloads by resolve.

By Xet the client stores chunks and their index (shards) in a folder that it shares with this Hub, which puts the files
together when a commit names them; so Xet works between processes of one machine only.
"""

import contextlib
import hashlib
import shutil
import struct
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import hf_xet
from aiohttp import web

from adapters.localhub.answers import No, no_entry
from adapters.localhub.api import HUB, Hub, body, readable, revision, writable
from adapters.localhub.repos import Shelf

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
CHUNKS = "xet/xorbs"
"""Where the client's Xet library keeps chunks below the folder that it is led to."""
TOKEN_S = 24 * 3600
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
        keep(hub.shelf, Path(file.name), sha256, is_whole=hashed.hexdigest() == sha256 and count == int(size))
    return web.Response(headers={"ETag": f'"{sha256}"'})


def _open(hub: Hub) -> IO[bytes]:
    return tempfile.NamedTemporaryFile(dir=hub.shelf.incoming, delete=False)


def keep(shelf: Shelf, path: Path, sha256: str, is_whole: bool) -> None:
    if not is_whole:
        path.unlink()
        raise No(400, "The content is not what was announced")
    target = shelf.blob(sha256)
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


async def xet_token(request: web.Request) -> web.Response:
    """Lead the client's Xet library to the shared folder."""
    hub, _, _ = writable(request)
    place = hub.shelf.xet_folder()
    return web.json_response({"casUrl": f"local://{place}", "exp": int(time.time()) + TOKEN_S, "accessToken": "local"})


def put_together(shelf: Shelf, wanted: set[str]) -> None:
    """Make contents of Xet chunks for those sha256 that are not here yet. Blocks: it may read and write gigabytes."""
    missing = {sha256 for sha256 in wanted if not shelf.blob(sha256).exists()}
    indexed: dict[str, tuple[str, int]] = {}
    for shard in (shelf.xet_folder() / CHUNKS).glob("shards/*.mdb") if missing else ():
        indexed |= read_shard(shard.read_bytes())
    new_download = hf_xet.XetSession().new_file_download_group
    for sha256 in missing & indexed.keys():
        file_hash, size = indexed[sha256]
        path = shelf.incoming / f"xet-{uuid.uuid4().hex}"
        with mirrored(shelf.xet_folder()) as place, new_download(endpoint=f"local://{place}") as group:
            group.start_download_file(hf_xet.XetFileInfo(file_hash, size), str(path))
        with path.open("rb") as file:
            is_whole = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        keep(shelf, path, sha256, is_whole)


@contextlib.contextmanager
def mirrored(shared: Path) -> Iterator[Path]:
    """The chunks under another folder, as links, with a copy of their database: the client may still hold the lock of
    the first. It names a file in a commit only after the file is in there."""
    with tempfile.TemporaryDirectory(dir=shared) as name:
        for path in (shared / CHUNKS).glob("*/*"):
            linked = Path(name) / path.relative_to(shared)
            linked.parent.mkdir(parents=True, exist_ok=True)
            linked.hardlink_to(path)
        for path in (shared / CHUNKS).glob("*.redb"):
            shutil.copyfile(path, Path(name) / path.relative_to(shared))
        yield Path(name)


def read_shard(content: bytes) -> dict[str, tuple[str, int]]:
    """sha256 → (Xet hash, size) of the files in a shard, of those whose sha256 the client said."""
    return {sha256: (file_hash, size) for file_hash, size, sha256 in shard_files(content) if sha256}


def shard_files(content: bytes) -> Iterator[tuple[str, int, str]]:
    """(Xet hash, size, sha256 or nothing) of each file in a shard.

    After 48 bytes of header stands for each file: its hash, 4 bytes of flags, the number of its segments, then 48 bytes
    a segment (its size at 36), as many for verification if flag 31, and 48 that begin with the sha256 if flag 30.
    """
    at = 48
    while content[at : at + 32] != b"\xff" * 32 and at + 48 <= len(content):
        flags, count = struct.unpack_from("<II", content, at + 32)
        sizes = (struct.unpack_from("<I", content, at + 48 * number + 36)[0] for number in range(1, count + 1))
        size, after = sum(sizes), at + 48 * (1 + count * (2 if flags >> 31 & 1 else 1))
        has_sha256 = flags >> 30 & 1
        yield hash_words(content[at : at + 32]), size, hash_words(content[after : after + 32]) if has_sha256 else ""
        at = after + 48 * has_sha256


def hash_words(content: bytes) -> str:
    """A hash as Xet prints it: four little-endian numbers of 8 bytes."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", content))


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
