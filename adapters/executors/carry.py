"""The run's folder on a location that is no shared path: S3, a bucket, whatever fsspec reaches. Our side of it.

What the node needs is sent before the attempt starts; what it reports is fetched into the same folder here, so that
everything else reads it as if it had happened on this machine. The other side is `engine.work.elsewhere.carried`.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import fsspec

from engine.folder import REJECTED
from engine.work.elsewhere.carried import FIRST, LAST, copy_out, parts_to_send

FETCH_S = 2.0
"""Seconds between two looks at the location."""
DEADLINE_S = 60.0
SEND_S = 1800.0
T = TypeVar("T")


def is_location(text: str) -> bool:
    return "://" in text


class Carried:
    """`url` is the location of the runs' folders there, `root` their folder here."""

    def __init__(self, url: str, root: Path, **options: Any) -> None:
        self.url = url
        self.root = root
        self._options = options
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="carry")
        self._fetched_at: dict[str, float] = {}
        self._sizes: dict[str, int] = {}

    async def send(self, id: str) -> None:
        """Everything that the attempt needs of its run; what is there already in the same size is not sent again."""
        await self._do(lambda: self._send(id), SEND_S)

    async def tell(self, id: str, name: str) -> None:
        """One small file of the attempt."""
        await self._do(lambda: self._put(self.root / id / name, f"{id}/{name}"), DEADLINE_S)

    async def fetch(self, id: str, is_over: bool = False) -> None:
        """What the attempt reported since the last look; once it is over, its output and the checkpoints too."""
        if is_over or time.monotonic() > self._fetched_at.get(id, -FETCH_S) + FETCH_S:
            await self._do(lambda: self._fetch(id), SEND_S)
            self._fetched_at[id] = time.monotonic()

    async def _do(self, work: Callable[[], T], deadline_s: float) -> T:
        loop = asyncio.get_running_loop()
        return await asyncio.wait_for(loop.run_in_executor(self._thread, work), deadline_s)

    def _fs(self) -> tuple[Any, str]:
        fs, base = fsspec.url_to_fs(self.url, skip_instance_cache=True, use_listings_cache=False, **self._options)
        return fs, str(base).rstrip("/")

    def _send(self, id: str) -> None:
        run = self.root / id.partition("/")[0]
        for path in parts_to_send(run, self.root / id):
            self._put(path, path.relative_to(self.root).as_posix())

    def _put(self, path: Path, name: str) -> None:
        fs, base = self._fs()
        target = f"{base}/{name}"
        if name.endswith("/stop") or not fs.exists(target) or fs.size(target) != path.stat().st_size:
            fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            fs.put_file(str(path), target)

    def _fetch(self, id: str) -> None:
        """`exit.json` last, since it says that everything else is there."""
        fs, base = self._fs()
        folder = f"{base}/{id}"
        there = {name: fs.info(f"{folder}/{name}")["size"] for name in FIRST if fs.exists(f"{folder}/{name}")}
        is_over = fs.exists(f"{folder}/{LAST}") and not (self.root / id / LAST).exists()
        for name, size in there.items():
            key = f"{id}/{name}"
            if is_over or self._sizes.get(key) != size or name == "heartbeat.json":
                take(fs, f"{folder}/{name}", self.root / key)
                self._sizes[key] = size
        if is_over:
            for part in (f"{id}/output", f"{id}/lora", f"{id.partition('/')[0]}/checkpoints"):
                copy_out(fs, f"{base}/{part}", self.root / part)
            for name in ("loss.png", REJECTED):
                if fs.exists(f"{folder}/{name}"):
                    take(fs, f"{folder}/{name}", self.root / id / name)
            take(fs, f"{folder}/{LAST}", self.root / id / LAST)


def take(fs: Any, source: str, target: Path) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(target.name + ".half")
    fs.get_file(source, str(half))
    half.replace(target)
