"""The Hub's buckets, for tests: a folder on this disk each, so that a job can have it as its volume.

Contents travel by Xet, as the real client insists: it is led to a folder of its own for each token, and what it leaves
there is put together when a batch names it; what a job wrote is put into such a folder when it is listed.
"""

import contextlib
import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import hf_xet
from aiohttp import web

from adapters.localhub.answers import No
from adapters.localhub.api import HUB, body
from adapters.localhub.files import CHUNKS, TOKEN_S, mirrored, shard_files
from adapters.localhub.tokens import check_may_write


class Buckets:
    """`root` has a folder for each bucket, `xet` what travels."""

    def __init__(self, root: Path) -> None:
        self.root = root / "buckets"
        self.xet = root / "bucket-xet"
        self._numbers = itertools.count()
        self._hashes: dict[tuple[str, int, int], tuple[str, int]] = {}

    def folder(self, bucket: str) -> Path:
        return self.root / bucket

    def place(self, kind: str) -> Path:
        """A new folder that a client, and no other, is led to."""
        made = self.xet / f"{kind}-{next(self._numbers)}"
        made.mkdir(parents=True)
        return made

    def take(self, file_hash: str, target: Path) -> bool:
        """Put together what a client left of that hash; False where none did."""
        for place in sorted(self.xet.glob("write-*")):
            for shard in (place / CHUNKS).glob("shards/*.mdb"):
                for found, size, _ in shard_files(shard.read_bytes()):
                    if found == file_hash:
                        bring(place, file_hash, size, target)
                        return True
        return False

    def give(self, path: Path) -> tuple[str, int]:
        """The hash and size of a file, whose content can be had from now on, whatever becomes of the file."""
        found = path.stat()
        key = (str(path), found.st_mtime_ns, found.st_size)
        if key not in self._hashes:
            ours = self.xet / "ours"
            ours.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes()
            with hf_xet.XetSession().new_upload_commit(endpoint=f"local://{ours}") as commit:
                handle = commit.start_upload_bytes(content, sha256=hf_xet.SKIP_SHA256)
            self._hashes[key] = (handle.result().xet_info.hash if content else "", len(content))
        return self._hashes[key]

    def lend(self) -> Path:
        """All that was given, for one client to read."""
        place, ours = self.place("read"), self.xet / "ours" / CHUNKS
        for path in ours.rglob("*"):
            target = place / CHUNKS / path.relative_to(ours)
            if path.is_dir():
                target.mkdir(parents=True, exist_ok=True)
            elif path.suffix == ".redb":
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(path)
        return place


BUCKETS = web.AppKey("buckets", Buckets)


def bring(place: Path, file_hash: str, size: int, target: Path) -> None:
    half = target.with_name(f".{target.name}.incoming")
    target.parent.mkdir(parents=True, exist_ok=True)
    download = hf_xet.XetSession().new_file_download_group
    with mirrored(place) as readable, download(endpoint=f"local://{readable}") as group:
        group.start_download_file(hf_xet.XetFileInfo(file_hash, size), str(half))
    half.replace(target)


def asked(request: web.Request) -> tuple[Buckets, str, Path]:
    """The bucket of the path, for who may write there: all of them are private here."""
    bucket = f"{request.match_info['namespace']}/{request.match_info['name']}"
    check_may_write(request.app[HUB].tokens.who(request), request.match_info["namespace"], "bucket")
    buckets = request.app[BUCKETS]
    folder = buckets.folder(bucket)
    if not folder.exists():
        raise No(404, "Repository not found", "RepoNotFound")
    return buckets, bucket, folder


async def create(request: web.Request) -> web.Response:
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    check_may_write(request.app[HUB].tokens.who(request), namespace, "bucket")
    await body(request)
    folder = request.app[BUCKETS].folder(f"{namespace}/{name}")
    told = {"url": f"{request.scheme}://{request.host}/buckets/{namespace}/{name}"}
    if folder.exists():  # the client reads where it is here too
        return web.json_response({"error": "You already created this bucket", **told}, status=409)
    folder.mkdir(parents=True)
    return web.json_response(told)


async def tree(request: web.Request) -> web.Response:
    buckets, _, folder = asked(request)
    prefix = request.match_info.get("prefix", "").strip("/")
    listed = [told for path in sorted(folder.rglob("*")) if (told := file_of(buckets, folder, path))]
    return web.json_response([told for told in listed if f"{told['path']}/".startswith(prefix)])


def file_of(buckets: Buckets, folder: Path, path: Path) -> dict[str, Any] | None:
    """What the Hub says of a file; None for what is no file, or not any more."""
    name = path.relative_to(folder).as_posix()
    with contextlib.suppress(OSError):
        if path.is_file() and not path.name.endswith(".incoming"):
            file_hash, size = buckets.give(path)
            return {"type": "file", "path": name, "size": size, "xetHash": file_hash}
    return None


async def paths_info(request: web.Request) -> web.Response:
    buckets, _, folder = asked(request)
    paths = [inside(folder, str(name)) for name in (await body(request))["paths"]]
    return web.json_response([told for path in paths if (told := file_of(buckets, folder, path))])


def inside(folder: Path, name: str) -> Path:
    path = folder / name
    if ".." in Path(name).parts or not path.resolve().is_relative_to(folder.resolve()):
        raise No(400, "That path leads out of the bucket")
    return path


async def batch(request: web.Request) -> web.Response:
    """Lines of JSON, each an operation; what could not be done is named."""
    buckets, _, folder = asked(request)
    failed = []
    for line in (await request.read()).splitlines():
        change = json.loads(line)
        target = inside(folder, change["path"])
        if change["type"] == "deleteFile":
            target.unlink(missing_ok=True)
        elif change["type"] != "addFile" or not buckets.take(change["xetHash"], target):
            failed.append({"path": change["path"], "error": "its content is not here"})
    return web.json_response({"failed": failed})


async def xet_token(request: web.Request) -> web.Response:
    buckets, _, _ = asked(request)
    is_write = request.path.endswith("xet-write-token")
    place = buckets.place("write") if is_write else buckets.lend()
    told = {"casUrl": f"local://{place}", "exp": int(time.time()) + TOKEN_S, "accessToken": "local"}
    return web.json_response(told)


async def resolve(request: web.Request) -> web.Response:
    buckets, bucket, folder = asked(request)
    told = file_of(buckets, folder, inside(folder, request.match_info["path"]))
    if told is None:
        raise No(404, "Entry not found", "EntryNotFound")
    route = f"{request.scheme}://{request.host}/api/buckets/{bucket}/xet-read-token"
    headers = {"X-Xet-Hash": told["xetHash"], "X-Xet-Refresh-Route": route, "X-Linked-Size": str(told["size"])}
    return web.Response(headers=headers)


HERE = "/api/buckets/{namespace}/{name}"


def add_buckets(app: web.Application, data: Path) -> None:
    app[BUCKETS] = Buckets(data)
    app.router.add_post(HERE, create)
    app.router.add_get(HERE + "/tree", tree)
    app.router.add_get(HERE + "/tree/{prefix:.+}", tree)
    app.router.add_post(HERE + "/paths-info", paths_info)
    app.router.add_post(HERE + "/batch", batch)
    app.router.add_get(HERE + "/xet-write-token", xet_token)
    app.router.add_get(HERE + "/xet-read-token", xet_token)
    app.router.add_head("/buckets/{namespace}/{name}/resolve/{path:.+}", resolve)
