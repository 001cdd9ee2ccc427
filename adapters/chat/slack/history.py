"""What happened while nobody listened: read back from the channels' history, which outlives Slack's three retries."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from adapters.chat.slack.api import Api, Calls, Refused
from adapters.chat.slack.people import channels
from bot.chat import Denied, Gone, TryLater

log = structlog.get_logger()
FIRST_LOOK_S = 600.0
OLD_THREADS_S = 7 * 86_400.0
PAGE = 200
MAX_PAGES = 10
Payload = dict[str, Any]
Hand = Callable[[Payload, str], Awaitable[None]]


class Cursor:
    """The latest message of each channel that was handed over, as Slack's timestamps.

    While the history is read back it stays where it was, so that a crash then leaves nothing out.
    """

    def __init__(self, text: str = "") -> None:
        self.before: dict[str, str] = json.loads(text) if text else {}
        self.seen = dict(self.before)
        self.is_catching_up = False

    def text(self) -> str:
        return json.dumps(self.before if self.is_catching_up else self.seen, sort_keys=True)

    def note(self, channel: str, ts: str) -> None:
        self.seen[channel] = max(self.seen.get(channel, ""), ts, key=_number)

    def since(self, channel: str) -> str:
        """In a channel that was never heard from, what happened in the ten minutes before."""
        return self.before.get(channel) or f"{time.time() - FIRST_LOOK_S:.6f}"


def _number(ts: str) -> float:
    return float(ts or 0)


async def catch_up(api: Api, cursor: Cursor, hand: Hand) -> None:
    """Hand over every message that came after the cursor, oldest first within a channel."""
    cursor.is_catching_up = True
    reader = Patient(api)
    for channel in await _readable(channels(reader)):
        for message in await _readable(_missed(reader, channel["id"], cursor.since(channel["id"]))):
            await hand(message, channel["id"])
    cursor.is_catching_up = False
    cursor.before = dict(cursor.seen)


class Patient:
    """The same calls, waiting for as long as Slack asks to."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        while True:
            try:
                return await self.api.call(method, **arguments)
            except TryLater as wait:
                await asyncio.sleep(wait.seconds)


async def _readable(reading: Awaitable[list[Payload]]) -> list[Payload]:
    """What was read, or nothing where it is not for us to read."""
    try:
        return await reading
    except (Gone, Denied, Refused) as refused:
        log.warning("history not read", reason=repr(refused))
        return []


async def _missed(api: Calls, channel: str, since: str) -> list[Payload]:
    """The messages after `since`, those in threads too. A thread shows its latest reply at its root, so roots of
    the last days are looked at as well."""
    oldest = f"{_number(since) - OLD_THREADS_S:.6f}"
    roots = await _pages(api, "conversations.history", channel=channel, oldest=oldest)
    found = {root["ts"]: root for root in roots}
    for root in roots:
        if _number(root.get("latest_reply", "")) > _number(since):
            thread = await _pages(api, "conversations.replies", channel=channel, ts=root["ts"], oldest=since)
            found |= {reply["ts"]: reply for reply in thread}
    return [found[ts] for ts in sorted(found, key=_number) if _number(ts) > _number(since)]


async def replies(api: Calls, channel: str, thread: str) -> list[Payload]:
    """A thread's messages; of a channel without one, its latest page."""
    if thread:
        return await _pages(api, "conversations.replies", channel=channel, ts=thread, include_all_metadata=True)
    return await _pages(api, "conversations.history", 1, channel=channel, include_all_metadata=True)


async def _pages(api: Calls, method: str, most: int = MAX_PAGES, **arguments: Any) -> list[Payload]:
    messages: list[Payload] = []
    cursor = ""
    for _ in range(most):
        answer = await api.call(method, limit=PAGE, cursor=cursor or None, **arguments)
        messages += answer.get("messages", [])
        cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            break
    return messages
