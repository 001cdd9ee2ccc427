"""Slack as a chat platform: the port."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Coroutine
from pathlib import Path
from typing import Any

from adapters.chat.slack import blocks, files
from adapters.chat.slack.api import Api, Refused
from adapters.chat.slack.connect import serving
from adapters.chat.slack.history import Cursor, Posted, catch_up, mark, replies
from adapters.chat.slack.pace import MIN_GAP_S
from adapters.chat.slack.people import People
from adapters.chat.slack.reading import Where, is_direct, where
from adapters.chat.slack.receive import Receiver
from adapters.chat.slack.settings import SlackSettings
from adapters.chat.slack.surfaces.home import MARK, Homes, part_of
from bot.chat import File, Gone, Handler, Lapsed, Message, MessageId, Person, Place, Upload

KEPT_KEYS = 10_000
PLAINER = ("invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "invalid_arguments")
"""What Slack says to blocks that it does not take."""


class SlackChat:
    """A place is `team/channel/thread_ts`, `team/channel`, or `team/channel/@person` for what only one person sees;
    an operator may write a channel's id or its name; `team/~person/part` is a part of a Home tab.

    A message's id is `channel/ts`; one that only a person sees cannot be changed, so that its id,
    `channel/@person/ts/thread`, says where a newer one goes."""

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        self.api = Api(settings)
        self.people = People(self.api)
        self.homes = Homes(self.api)
        self.pace_s = MIN_GAP_S
        self.posted = Posted(self.api, self.people)
        self.stands = Cursor()
        self.ids: OrderedDict[str, MessageId] = OrderedDict()
        self.attached: dict[tuple[str, str], bool] = {}
        """By message and name of a file, whether it stands there; False while it is not known."""
        self.takes_charts = True
        self.charted: set[str] = set()
        """The keys of the messages that Slack took with their chart, which then need no picture."""

    async def listen(self, handler: Handler, since: str) -> None:
        """Raises Refusal where Slack does not take a token at all, Lapsed where it no longer does."""
        self.stands = Cursor(since)
        self.posted.begin()
        me = await self.people.me()
        receiver = Receiver(self, me, handler)

        async def missed() -> None:
            await catch_up(self.api, self.stands, receiver.message)

        try:
            async with serving(self.settings, self.api, me, receiver.answer, missed):
                await self._until_broken(missed())
        finally:
            await self.people.once.end()
            await self.api.settled()
        raise Lapsed(f"Slack no longer takes SLACK_BOT_TOKEN ({self.api.broken}).", "SLACK_BOT_TOKEN")

    async def _until_broken(self, reading: Coroutine[Any, Any, None]) -> None:
        """Until Slack no longer takes the token, be it while the history is still being read."""
        read, broken = asyncio.ensure_future(reading), asyncio.ensure_future(self.api.is_broken.wait())
        try:
            await asyncio.wait({read, broken}, return_when=asyncio.FIRST_COMPLETED)
            if not broken.done():
                read.result()
            await broken
        finally:
            read.cancel()
            broken.cancel()
            await asyncio.gather(read, broken, return_exceptions=True)

    def cursor(self) -> str:
        return self.stands.text()

    async def post(self, place: Place, message: Message) -> MessageId:
        if message.key in self.ids:
            return self.ids[message.key]
        if home := part_of(place):
            return await self.homes.post(*home, message)
        target = await self._target(where(place), message)
        if target.only:
            posted = await self._post_private(target, message)
        else:
            posted = await self._post_once(target, message)
            await self._attach(posted, target, message)
        self.ids[message.key] = posted
        if len(self.ids) > KEPT_KEYS:
            self.ids.popitem(last=False)
        return posted

    async def _target(self, target: Where, message: Message) -> Where:
        """Where it is to be seen. What one person alone may see cannot carry a file: that goes by direct message."""
        target = Where(await self.people.channel(target.channel), target.thread, target.only)
        only = message.only_for.id if message.only_for else target.only
        if not only or is_direct(target.channel):
            return Where(target.channel, target.thread)
        return Where(await self.people.direct(only)) if message.files else Where(target.channel, target.thread, only)

    async def _post_once(self, target: Where, message: Message) -> MessageId:
        found = await self.posted.find(target, message.key)
        if found:
            return found
        arguments = {"channel": target.channel, "thread_ts": target.thread or None, "metadata": mark(message.key)}
        with self.posted.trying(message.key):
            answer = await self._say("chat.postMessage", message, **arguments)
        posted = MessageId(f"{answer['channel']}/{answer['ts']}")
        self.posted.note(posted)
        return posted

    async def _post_private(self, target: Where, message: Message) -> MessageId:
        """Ephemeral, or by direct message where the bot is not in the channel."""
        try:
            answer = await self._say(
                "chat.postEphemeral",
                message,
                channel=target.channel,
                thread_ts=target.thread or None,
                user=target.only,
            )
        except Gone:
            return await self._post_once(Where(await self.people.direct(target.only)), message)
        return MessageId(f"{target.channel}/@{target.only}/{answer['message_ts']}/{target.thread}")

    async def _say(self, method: str, message: Message, **arguments: Any) -> dict[str, Any]:
        """With all its blocks; in plainer ones where Slack refuses those."""
        plain: dict[str, Any] = {"unfurl_links": False, "unfurl_media": False, "link_names": False}
        if method != "chat.postMessage":
            plain = {"link_names": False}
        common = {**arguments, **plain, "text": blocks.fallback(message), "parse": "none"}
        has_chart = message.chart is not None and self.takes_charts
        answer = await self._tried(method, blocks.blocks(message, has_chart=True), common) if has_chart else None
        if answer:
            self.charted.add(message.key)
            return answer
        answer = await self._tried(method, blocks.blocks(message), common)
        if answer:
            self.takes_charts = self.takes_charts and not has_chart
            return answer
        return await self.api.call(method, blocks=blocks.blocks(message, has_table=False), **common)

    async def _tried(self, method: str, these: list[blocks.Block], common: dict[str, Any]) -> dict[str, Any] | None:
        """Slack's answer, or None where it does not take the blocks."""
        try:
            return await self.api.call(method, blocks=these, **common)
        except Refused as refused:
            if refused.error not in PLAINER:
                raise
            return None

    async def edit(self, posted: MessageId, message: Message) -> None:
        if posted.startswith(MARK):
            await self.homes.edit(posted, message)
            return
        channel, _, ts = posted.partition("/")
        if not ts:
            raise Gone(posted)
        if ts.startswith("@"):
            person, _, thread = ts[1:].partition("/")
            await self._post_private(Where(channel, thread.partition("/")[2], person), message)
            return
        self.pace_s = self.api.pace.gap(posted)
        await self._say("chat.update", message, channel=channel, ts=ts)
        if message.files:
            await self._attach(posted, await self._thread_of(channel, ts), message)

    async def _thread_of(self, channel: str, ts: str) -> Where:
        """The thread that a message stands in; a message is found in its own thread by its ts."""
        found = await replies(self.api, channel, ts)
        return Where(channel, next((m.get("thread_ts") or "" for m in found if m["ts"] == ts), ""))

    async def _attach(self, posted: MessageId, target: Where, message: Message) -> None:
        """Each file of a message once, in the message's thread."""
        drawn = message.chart.picture if message.chart and message.key in self.charted else ""
        missing = [f for f in message.files if not self.attached.get((posted, f.name)) and f.name != drawn]
        if not missing:
            return
        there = await self._attached_before(posted, target, missing)
        for file in missing:
            if file.name not in there:
                self.attached[posted, file.name] = False
                await files.share(self.api, target, file)
            self.attached[posted, file.name] = True

    async def _attached_before(self, posted: MessageId, target: Where, missing: list[File]) -> set[str]:
        """The names of the files that are there already: looked up where an earlier try may have got through."""
        if posted in self.posted.mine and not any((posted, file.name) in self.attached for file in missing):
            return set()
        return files.names(await replies(self.api, target.channel, target.thread), since=posted.partition("/")[2])

    async def download(self, upload: Upload, target: Path) -> None:
        await files.download(self.api, self.settings.api_url, upload, target)

    async def groups(self, person: Person) -> frozenset[str]:
        return await self.people.groups(person)

    async def names(self, ids: Collection[str]) -> list[str]:
        return await self.people.names_of(ids)

    def channel(self, place: Place) -> str:
        return where(place).channel

    async def is_private(self, place: Place) -> bool:
        return await self.people.is_private(where(place).channel)
