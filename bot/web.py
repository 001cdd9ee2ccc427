"""One small HTTP server: whether the bot lives (/healthz), whether it works (/readyz), and its figures (/metrics)."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web
from prometheus_client import Counter, Gauge, generate_latest

from bot.settings import Settings
from engine.refusal import Refusal

STALE_S = 30.0
TICKS = Counter("threadtune_ticks", "Ticks of the scheduler that ended well.", ["tick"])
LAST = Gauge("threadtune_last_tick_timestamp_seconds", "When each tick last ended well.", ["tick"])


class Health:
    """Remembers when each tick last ended well; a tick that stopped turns the bot unhealthy."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.beats: dict[str, float] = {}
        self.ailment = ""
        """Why nothing can be heard or said, for as long as somebody has to mend it."""

        self.shortage = ""
        """Why no new run may start."""

        self.silent: Callable[[], Sequence[str]] = list
        """The attempts of runs that should be at work and whose heartbeat stopped."""

    def watched(self, tick: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The same tick, whose every end is noted."""
        name = f"{getattr(tick, '__qualname__', tick)}"
        self.beats[name] = self.clock()

        async def beat() -> None:
            await tick()
            self.beats[name] = self.clock()
            TICKS.labels(name).inc()
            LAST.labels(name).set(self.beats[name])

        return beat

    def stale(self) -> list[str]:
        """The ticks that did not end well for longer than they may."""
        return [name for name, beat in self.beats.items() if self.clock() - beat > STALE_S]


@contextlib.asynccontextmanager
async def serve_web(settings: Settings, health: Health) -> AsyncIterator[None]:
    """Serve while the block runs; HTTP_PORT=0 serves nothing."""
    if not settings.http_port:
        yield
        return
    runner = web.AppRunner(_application(settings, health), access_log=None)
    await runner.setup()
    try:
        await _listen(runner, settings)
        yield
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, settings: Settings) -> None:
    try:
        await web.TCPSite(runner, settings.http_host, settings.http_port).start()
    except OSError as error:
        where = f"{settings.http_host}:{settings.http_port}"
        raise Refusal(f"Nothing can listen on {where}: {error.strerror}. Set HTTP_PORT to a free one.") from None


def _application(settings: Settings, health: Health) -> web.Application:
    async def ready(_: web.Request) -> web.Response:
        stale = health.stale()
        hub = "models are pushed to " + settings.hf_namespace if settings.can_push else "models stay on this server"
        silent = list(health.silent())
        told = {"stopped": stale, "silent": silent, "hub": hub, "ailment": health.ailment, "shortage": health.shortage}
        is_ready = not (stale or silent or health.ailment or health.shortage)
        return web.json_response(told, status=200 if is_ready else 503)

    async def healthy(_: web.Request) -> web.Response:
        """What starting the bot anew may mend: not a disk that is full."""
        stale = health.stale()
        return web.json_response({"stopped": stale}, status=503 if stale or health.ailment else 200)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), content_type="text/plain")

    application = web.Application()
    application.add_routes([web.get("/healthz", healthy), web.get("/readyz", ready), web.get("/metrics", metrics)])
    return application
