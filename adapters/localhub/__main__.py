"""`python -m adapters.localhub [--port 7861] [--data DATA/hub]`: serve the local Hub until it is stopped."""

import argparse
import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

from aiohttp import web

from adapters.localhub.api import HUB
from adapters.localhub.app import make_app

PORT = 7861


async def serve(data: Path, port: int, is_tied: bool = False) -> None:
    """Until SIGINT or SIGTERM; if it `is_tied`, also until its standard input ends, as it does when its parent dies."""
    app = make_app(data)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    here = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sys.stdout.write(f"The local Hub serves {data} on {here}\n")
    sys.stdout.write(f"Its pages: {here}/-/enter?key={app[HUB].tokens.page_key}\n")
    sys.stdout.write(f"Its write token is in {data / 'token'}; set HF_ENDPOINT={here} and HF_TOKEN to use it.\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, stopped.set)
    if is_tied:
        loop = asyncio.get_running_loop()
        threading.Thread(target=lambda: (sys.stdin.read(), loop.call_soon_threadsafe(stopped.set)), daemon=True).start()
    await stopped.wait()
    await runner.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m adapters.localhub", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="0 takes a free one")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("DATA", "data")) / "hub")
    parser.add_argument("--tied", action="store_true", help="end with whoever holds its standard input")
    asked = parser.parse_args()
    try:
        asyncio.run(serve(asked.data, asked.port, asked.tied))
    except OSError as error:
        sys.stderr.write(f"The local Hub cannot start on port {asked.port}: {error.strerror}. Choose another --port.\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
