"""What the console brings along so that everything works without an account: a local Hub with the embedded models."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from adapters.chat.console.screen import Screen
from bot.settings import Settings
from engine.refusal import Refusal

PORT = 7861


@dataclass(frozen=True)
class LocalHub:
    """`pages` opens its pages in a browser, private models included."""

    endpoint: str
    pages: str
    token: str


@contextlib.contextmanager
def local_hub(data: Path) -> Iterator[LocalHub]:
    """A local Hub while the block runs, on its usual port unless something else has that."""
    child = _start(data, PORT) or _start(data, 0)
    if child is None:
        raise Refusal("The local Hub does not start; `python -m adapters.localhub` says why.")
    process, hub = child
    with process:  # closes its pipes and waits for it
        try:
            yield hub
        finally:
            process.terminate()


def _start(data: Path, port: int) -> tuple[subprocess.Popen[str], LocalHub] | None:
    process = subprocess.Popen(
        [sys.executable, "-m", "adapters.localhub", "--tied", "--data", str(data), "--port", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if port else None,
        start_new_session=True,
        text=True,
    )
    if process.stdout is None:
        return None
    first, second = process.stdout.readline(), process.stdout.readline()
    endpoint, pages = re.search(r"http://\S+", first), re.search(r"http://\S+", second)
    if not endpoint or not pages:
        process.communicate(timeout=10)
        return None
    return process, LocalHub(endpoint[0], pages[0], (data / "token").read_text().strip())


@contextlib.contextmanager
def settings(screen: Screen, data: Path | None = None) -> Iterator[Settings]:
    """The console's settings: the real Hub where a token and a namespace are set, else a local one that runs meanwhile.

    `data` overrides the folder of everything but the base models and the local Hub.
    """
    console = {"chat": "console", "team_channel": "team", "http_port": 0, "people_are_local": True}
    apart = {"data": data, "database_url": "", "may_start": "", "default_model": ""} if data else {}
    chosen = Settings().model_copy(update=console | apart)
    if chosen.can_push:
        screen.note(f"Models go to {chosen.hf_endpoint}, namespace {chosen.hf_namespace}.")
        prepare(chosen, screen)
        yield chosen
        return
    with local_hub(Path("data/hub")) as hub:
        screen.note(f"No Hub token is set, so models go to a Hub on this machine: {hub.pages}")
        token = {"hf_endpoint": hub.endpoint, "hf_token": SecretStr(hub.token), "hf_namespace": "local"}
        chosen = chosen.model_copy(update=token)
        prepare(chosen, screen, "--publish")
        yield chosen


def prepare(chosen: Settings, screen: Screen, *words: str) -> None:
    """Convert the embedded base models, once. Raises Refusal where they are not installed."""
    screen.note("Preparing the embedded base models (the first time takes about a minute) …")
    environment = {**os.environ, **chosen.hub_environment()}
    command = [sys.executable, "-m", "engine", "prepare", "--cache", str(chosen.cache), *words]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"The embedded models could not be prepared: {done.stderr.strip()[-500:]}")


def hub() -> int:
    """Serve the local Hub's pages until Ctrl-C."""
    with local_hub(Path("data/hub")) as local:
        sys.stdout.write(f"The models of the demo and the chat: {local.pages}\n")
        if not local.endpoint.endswith(f":{PORT}"):
            sys.stdout.write(f"Port {PORT} is taken, so links in earlier messages do not open; this address does.\n")
        sys.stdout.write("Ctrl-C ends it.\n")
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0
