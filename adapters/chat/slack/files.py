"""Files in both directions: what people dropped, and what the bot attaches."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp

from adapters.chat.slack.api import RETRY_S, Api, Refused, is_slacks
from adapters.chat.slack.reading import Where
from bot.chat import Denied, File, Gone, TryLater, Upload
from engine.refusal import Refusal

CHUNK = 1 << 18
ASK_S = 1.0
READ = "files:read"
FOREIGN = "{name} lies outside Slack. Download it and drop the file itself."
HIDDEN = "{name} is hidden by the workspace's plan. Drop it again."
STALLED = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=60)


async def download(api: Api, api_url: str, upload: Upload, target: Path) -> None:
    """Write the file's bytes to `target`. Raises Gone, Denied, TryLater, and Refusal where it cannot be had at all."""
    file = (await api.call("files.info", file=upload.id))["file"]
    size = int(file.get("size") or upload.size)
    try:
        async with aiohttp.ClientSession(timeout=STALLED) as session:
            await _fetch(session, _address(file, api_url, upload), api.token, size, target)
    except (aiohttp.ClientError, TimeoutError):
        raise TryLater(RETRY_S) from None


def _address(file: dict[str, Any], api_url: str, upload: Upload) -> str:
    """Where the bytes lie; the token is sent to Slack's own hosts only."""
    mode = file.get("mode", "hosted")
    if mode == "tombstone":
        raise Gone(upload.name)
    if mode == "hidden_by_limit":
        raise Refusal(HIDDEN.format(name=upload.name))
    url = file.get("url_private_download") or file.get("url_private") or ""
    if mode == "external" or file.get("is_external") or (url and not is_slacks(url, api_url)):
        raise Refusal(FOREIGN.format(name=upload.name))
    if not url:
        raise TryLater(RETRY_S)
    return str(url)


async def _fetch(session: aiohttp.ClientSession, url: str, token: str, size: int, target: Path) -> None:
    bearer = {"Authorization": f"Bearer {token}"}
    async with session.get(url, headers=bearer, allow_redirects=False) as answer:
        if answer.status == 429:
            raise TryLater(float(answer.headers.get("Retry-After", RETRY_S)))
        if answer.status in (404, 410):
            raise Gone(url)
        if answer.status >= 500:
            raise TryLater(RETRY_S)
        # Without the scope, Slack sends its sign-in page: as a redirect, or with 200 and as text/html.
        if answer.status != 200 or answer.content_type == "text/html":
            raise Denied(READ)
        written = 0
        with target.open("wb") as out:
            async for chunk in answer.content.iter_chunked(CHUNK):
                if not written and chunk.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
                    raise Denied(READ)
                written += len(chunk)
                if size and written > size:
                    break
                await asyncio.to_thread(out.write, chunk)
    if size and written != size:
        raise TryLater(RETRY_S)


async def share(api: Api, target: Where, file: File) -> None:
    """Slack's upload in three steps; the file then stands in the thread."""
    content = await asyncio.to_thread(file.path.read_bytes)
    ticket = await api.call("files.getUploadURLExternal", filename=file.name, length=len(content), alt_txt=file.name)
    try:
        async with (
            aiohttp.ClientSession(timeout=STALLED) as session,
            session.post(ticket["upload_url"], data=content) as answer,
        ):
            if answer.status != 200:
                raise TryLater(RETRY_S)
    except aiohttp.ClientError:
        raise TryLater(RETRY_S) from None
    await api.call(
        "files.completeUploadExternal",
        files=[{"id": ticket["file_id"], "title": file.name}],
        channel_id=target.channel,
        thread_ts=target.thread or None,
    )


def names(messages: Iterable[dict[str, Any]], since: str) -> set[str]:
    """The names of the files that stand in these messages from `since` on."""
    later = (message for message in messages if float(message["ts"]) >= float(since))
    return {file.get("name", "") for message in later for file in message.get("files") or ()}


async def completed(api: Api, message: dict[str, Any]) -> dict[str, Any]:
    """A message whose files have a name and a size: those from another workspace come as an id to ask for."""
    files = [await _asked(api, file) for file in message.get("files") or ()]
    return {**message, "files": files} if files else message


async def _asked(api: Api, file: dict[str, Any]) -> dict[str, Any]:
    if file.get("file_access") != "check_file_info" and "name" in file:
        return file
    try:
        async with asyncio.timeout(ASK_S):
            answer = await api.call("files.info", file=file["id"])
    except (TimeoutError, Gone, Denied, TryLater, Refused):
        return file
    return dict(answer["file"])
