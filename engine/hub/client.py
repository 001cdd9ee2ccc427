"""The way to the Hub: endpoint and token from this process' environment, a limit on every wait, errors in words.

Only short-lived children talk to the Hub, never the bot itself: the client is synchronous and holds global state.
"""

import json
import math
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import huggingface_hub.constants
from huggingface_hub import HfApi, ModelInfo, set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._headers import build_hf_headers
from huggingface_hub.utils._http import (
    get_session,
    hf_raise_for_status,
    hf_request_event_hook,
    parse_ratelimit_headers,
)
from huggingface_hub.utils._runtime import is_xet_available
from huggingface_hub.utils.tqdm import disable_progress_bars

from engine.hub import tally
from engine.plan.models import nearest
from engine.refusal import Refusal

PUBLIC = "https://huggingface.co"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
TROUBLE = (HfHubHTTPError, httpx2.HTTPError, OSError, ValueError, RuntimeError)
"""All that a call of the client may raise when the Hub, the network or the token is at fault."""
AGAIN = (408, 429, 500, 502, 503, 504)
T = TypeVar("T")


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or PUBLIC


def reader() -> str | None:
    """The token that base models and datasets are fetched with: one of its own where the operator set one."""
    return os.environ.get("HF_READ_TOKEN") or os.environ.get("HF_TOKEN") or None


def is_loopback(address: str) -> bool:
    return urlsplit(address).hostname in LOOPBACK


def connect(token: str | None, address: str = "", timeout_s: float = 30) -> HfApi:
    """A client for one endpoint. Without a token it sends none, whatever lies in the user's home.

    `timeout_s` bounds each connect and each silence, not a whole transfer.
    """

    def client() -> httpx2.Client:
        limits = httpx2.Timeout(timeout_s, connect=min(timeout_s, 10))
        hooks: dict[str, list[Any]] = {"request": [hf_request_event_hook], "response": [tally.note]}
        return httpx2.Client(event_hooks=hooks, follow_redirects=True, timeout=limits)

    address = address or endpoint()
    set_client_factory(client)
    disable_progress_bars()
    if is_loopback(address):
        huggingface_hub.constants.HF_HUB_DISABLE_XET = True  # the local Hub takes files by LFS
    return HfApi(endpoint=address, token=token or False)


def info(api: HfApi, repo: str, revision: str = "", timeout_s: float = 30) -> ModelInfo:
    """What the Hub says of a model, its files' hashes too. The limit must be given here: the client's own call asks
    without one, whatever `connect` set."""
    return api.model_info(repo, revision=revision or None, files_metadata=True, timeout=timeout_s)


def retried(call: Callable[[], T], deadline: float, waiting: Callable[[BaseException], object] | None = None) -> T:
    """The answer of `call`, tried again with growing pauses while the Hub has trouble and `deadline` is not reached.

    `deadline` is by time.monotonic(); `waiting` hears of each trouble that is waited out. Other errors are raised
    at once.
    """
    pause = 1.0
    while True:
        try:
            return call()
        except TROUBLE as error:
            wait = max(pause, asked_pause(error))
            if not is_passing(error) or time.monotonic() + wait > deadline:
                raise
            if waiting:
                waiting(error)
            time.sleep(wait)
            pause = min(pause * 2, 60)


def with_ticks(work: Callable[[], Any], tick: Callable[[], object], every_s: float, limit_s: float = math.inf) -> None:
    """Do `work` in a thread and call `tick` now and then until it is done; its error is raised here.

    Raises TimeoutError after `limit_s`; what hangs is left to end with the process.
    """
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    end = time.monotonic() + limit_s
    while thread.is_alive():
        thread.join(min(every_s, max(0.0, end - time.monotonic())))
        if thread.is_alive() and time.monotonic() >= end:
            raise TimeoutError(f"nothing came of it within {limit_s:.0f} s")
        if thread.is_alive():
            tick()
    if failures:
        raise failures[0]


def ask_for_xet(api: HfApi, repo: str, is_pull_request: bool = False) -> None:
    """Ask for the right to upload by Xet. Raises what the Hub says where it has something against it."""
    if not is_xet_available():
        return
    token = str(api.token) if api.token else None
    where = f"{api.endpoint}/api/models/{repo}/xet-write-token/main{'?create_pr=1' * is_pull_request}"
    answer = get_session().get(where, headers=build_hf_headers(token=token or False))
    hf_raise_for_status(answer)


def status(error: BaseException) -> int:
    """The HTTP status behind an error of the client, also where it was wrapped; 0 when there is none."""
    response = getattr(error, "response", None)
    if response is not None:
        return int(response.status_code)
    cause = error.__cause__ or error.__context__
    return status(cause) if cause is not None else 0


def is_passing(error: BaseException) -> bool:
    """Whether the same call may well succeed later."""
    code = status(error)
    return code in AGAIN if code else is_unreachable(error) or is_garbled(error)


def is_garbled(error: BaseException) -> bool:
    """Whether the answer was no JSON: a proxy's page, which the client reads before it looks at the status."""
    return isinstance(error, json.JSONDecodeError)


def is_unreachable(error: BaseException) -> bool:
    if isinstance(error, httpx2.TransportError | ConnectionError | TimeoutError | LocalEntryNotFoundError):
        return True
    cause = error.__cause__ or error.__context__
    return is_unreachable(cause) if cause is not None else False


def asked_pause(error: BaseException) -> float:
    """Seconds that the Hub asks to wait, 0 when it does not say; read also behind an error that was wrapped."""
    response = getattr(error, "response", None)
    if response is None:
        cause = error.__cause__ or error.__context__
        return asked_pause(cause) if cause is not None else 0.0
    limits = parse_ratelimit_headers(response.headers)
    if limits is not None and limits.remaining == 0:
        return float(limits.reset_in_seconds)
    after = response.headers.get("Retry-After", "")
    return float(after) if after.isdigit() else 0.0


def said(error: BaseException) -> str:
    """The Hub's own words, in one line."""
    text = str(getattr(error, "server_message", None) or "")
    return " ".join(text.split()).rstrip(".")


def explain(error: BaseException, repo: str, address: str, has_token: bool) -> Refusal:
    """What a person can do about an error of a download or upload of `repo`."""
    page = f"{address}/{repo}"
    if isinstance(error, Refusal):
        return error
    if isinstance(error, GatedRepoError):
        return Refusal(gated(page, repo, has_token), "model")
    if isinstance(error, RevisionNotFoundError):
        return Refusal(f"{repo} is on the Hub, but not at that revision: look at {page}/commits/main.", "model")
    if isinstance(error, RepositoryNotFoundError):
        return unknown(repo, address)
    return by_status(error, repo, address)


def gated(page: str, repo: str, has_token: bool) -> str:
    if has_token:
        return (
            f"{repo} is gated, and the token's owner has no access yet: open {page}, accept the terms there, "
            "and try again."
        )
    return (
        f"{repo} is gated: open {page}, accept the terms, then set HF_TOKEN to a token of that account "
        f"({PUBLIC}/settings/tokens)."
    )


def unknown(repo: str, address: str) -> Refusal:
    close = nearest(repo)
    hint = f" Did you mean {close}?" if close and close != repo else ""
    where = "the local Hub" if is_loopback(address) else "the Hub"
    return Refusal(f"There is no model {repo} on {where}, or it is private and our token cannot see it.{hint}", "model")


def by_status(error: BaseException, repo: str, address: str) -> Refusal:
    code, words = status(error), said(error)
    host = urlsplit(address).netloc
    quoted = f" ({words})" if words else ""
    if code == 401:
        text = f"The Hub does not accept our token: make a new one at {PUBLIC}/settings/tokens and set HF_TOKEN."
    elif code == 403:
        text = (
            f"The Hub does not let our token write to {repo}{quoted}: it needs the right to write there, "
            "and the account needs room. Change the token's rights or name another namespace, then push again."
        )
    elif code in (402, 413):
        text = f"The account has no room for {repo}{quoted}: free some storage or raise its plan, then push again."
    elif code == 429:
        minutes = max(1, round(asked_pause(error) / 60))
        text = f"The Hub asks us to slow down: try again in {minutes} min."
    elif code == 412:
        text = f"Somebody else changed {repo} meanwhile, so nothing was overwritten: push again under another name."
    elif code >= 500:
        text = f"The Hub has trouble of its own (status {code}): nothing is lost, try again later."
    elif code:
        text = f"The Hub refused it with status {code}{quoted}."
    elif is_garbled(error):
        text = "The Hub has trouble of its own (its answer was no JSON): nothing is lost, try again later."
    elif is_unreachable(error):
        text = f"The Hub at {host} could not be reached: check the network and HF_ENDPOINT, then try again."
    else:
        line = " ".join((str(error).splitlines() or [type(error).__name__])[0].split())
        text = f"The Hub's answer about {repo} could not be used: {line[:300]}"
    return Refusal(text, "")
