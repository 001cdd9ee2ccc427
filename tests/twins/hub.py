"""The local Hub in this process, with faults that a test plants; it runs on a loop of its own in a thread."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from adapters.localhub.api import HUB
from adapters.localhub.app import Handler, make_app
from tests.twins.buckets import add_buckets
from tests.twins.jobs import Jobs, add_jobs


@dataclass
class Fault:
    """What happens to requests whose `METHOD /path` matches: `times` of them, then no more.

    With `after` the request is carried out and only its answer is lost; with `is_cut` the connection breaks while the
    request is still arriving; `hang_s` keeps the asker waiting first.
    """

    pattern: str
    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    after: bool = False
    is_cut: bool = False
    hang_s: float = 0

    def hits(self, request: web.Request) -> bool:
        return self.times > 0 and re.search(self.pattern, f"{request.method} {request.path}") is not None


@dataclass
class Twin:
    """`url` and `token` are what a client needs; `seen` are the requests so far, as `METHOD /path`.

    `jobs` are those that were started here.
    """

    data: Path
    url: str = ""
    token: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    jobs: Jobs = field(default_factory=Jobs)

    def fail(self, pattern: str, status: int = 0, **more: object) -> Fault:
        fault = Fault(pattern, status, **more)  # type: ignore[arg-type]  # the fields are Fault's own
        self.faults.append(fault)
        return fault

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """What a child of ours gets to speak to this Hub."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token if token is None else token,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_PUBLIC_ENDPOINT": "",
        }

    def count(self, pattern: str) -> int:
        return sum(re.search(pattern, line) is not None for line in self.seen)

    @web.middleware
    async def plant(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        fault = next((fault for fault in self.faults if fault.hits(request)), None)
        if fault is None:
            return await handler(request)
        fault.times -= 1
        await asyncio.sleep(fault.hang_s)
        if fault.is_cut:
            await request.content.readany()
        if fault.after:
            await handler(request)
        if not fault.status:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=fault.status or 500, text=fault.body, headers=fault.headers)


@contextlib.contextmanager
def hub_twin(data: Path) -> Iterator[Twin]:
    """A Hub on a free port of loopback, gone at the end; what lies in `data` stays."""
    twin, loop, ready, ended = Twin(data), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        app = make_app(data)
        add_buckets(app, data)
        twin.jobs = add_jobs(app)
        app.middlewares.append(twin.plant)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        twin.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        twin.token = app[HUB].tokens.token
        ready.set()
        await ended.wait()
        await runner.cleanup()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the Hub did not start")
    try:
        yield twin
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
