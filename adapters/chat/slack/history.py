"""What Slack's history tells: what people did while nobody listened, which outlives Slack's three retries, and what the
bot said already. Slack has no idempotency key: a message carries its own, and is looked for wherever an earlier try may
have arrived, in this process or in the one before."""

import contextlib
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog

from adapters.chat.slack.api import Api, Calls, Lost, Patient, Refused
from adapters.chat.slack.people import People, channels
from adapters.chat.slack.reading import Where
from bot.chat import Denied, Gone, MessageId

log = structlog.get_logger()
FIRST_LOOK_S = 600.0
OLD_THREADS_S = 7 * 86_400.0
PAGE = 200
MAX_PAGES = 10
EVENT = "threadtune_message"
LOOK_BACK_S = 600.0
SKEW_S = 1.0
"""By how much Slack's clock may be ahead of ours."""
KEPT = 10_000
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


class Posted:
    """Each thread is read once for what the process before this one said there; one that was begun later than this
    process needs no reading. A try of this process whose answer was lost is looked for anew."""

    def __init__(self, api: Api, people: People) -> None:
        self.api, self.people = api, people
        self.look_back_s = LOOK_BACK_S
        self.began: tuple[float, float] | None = None
        """When this process took over, by the two clocks: one that stood by for another may be much older."""
        self.uncertain: set[str] = set()
        self.said: dict[tuple[str, str], dict[str, str]] = {}
        self.mine: OrderedDict[MessageId, None] = OrderedDict()
        """What this process posted, and knows that it did."""

    async def find(self, target: Where, key: str) -> MessageId | None:
        """The message of that key, if an earlier try got through."""
        is_unsure = key in self.uncertain
        if not is_unsure and not self._may_be_older(target):
            return None
        thread = (target.channel, target.thread)
        if is_unsure or thread not in self.said:
            self.said[thread] = await self._keys(target)
        ts = self.said[thread].get(_hashed(key))
        return MessageId(f"{target.channel}/{ts}") if ts else None

    def _may_be_older(self, target: Where) -> bool:
        began, began_at = self.begin()
        if self.api.pace.clock() - began >= self.look_back_s:
            self.said.clear()
            return False
        return not target.thread or float(target.thread) < began_at + SKEW_S

    def begin(self) -> tuple[float, float]:
        """From here on what happens is ours: when it listens, or speaks, for the first time."""
        self.began = self.began or (self.api.pace.clock(), time.time())
        return self.began

    async def _keys(self, target: Where) -> dict[str, str]:
        me = await self.people.me()
        messages = await replies(self.api, target.channel, target.thread)
        mine = ((m, m.get("metadata") or {}) for m in messages if m.get("user") == me.user)
        return {m["event_payload"].get("key", ""): said["ts"] for said, m in mine if m.get("event_type") == EVENT}

    @contextlib.contextmanager
    def trying(self, key: str) -> Iterator[None]:
        """While the block posts it: from an error that says that it was not done, one knows."""
        self.uncertain.add(key)
        try:
            yield
        except Lost:
            raise
        except Exception:
            self.uncertain.discard(key)
            raise
        self.uncertain.discard(key)

    def note(self, posted: MessageId) -> None:
        self.mine[posted] = None
        if len(self.mine) > KEPT:
            self.mine.popitem(last=False)


def mark(key: str) -> dict[str, Any]:
    """The metadata that a message is found by."""
    return {"event_type": EVENT, "event_payload": {"key": _hashed(key)}}


def _hashed(key: str) -> str:
    """Metadata can be read by everybody in the workspace, so it holds no id of anything."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]
