"""The port, on discord.py: posts, edits and downloads with the bot's own token; listening is in `connect`."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import aiohttp
import discord

from adapters.chat.discord.connect import Connection
from adapters.chat.discord.errors import translated
from adapters.chat.discord.kept import Cursor, Kept, at
from adapters.chat.discord.places import IN_THREADS, channel_of, is_archived, open_thread, wake
from adapters.chat.discord.settings import DiscordSettings
from adapters.chat.discord.views import mark, nonce, shown
from bot.chat import Gone, Handler, Message, MessageId, Person, Place, TryLater, Upload

UNKNOWN_CHANNEL = 10003
LOOKED_BACK = 50
OLD_S, OLD_PACE_S = 3600.0, 30.0
OLD_EDITS, OLD_WINDOW_S = 3, 6.0
"""Messages older than an hour may be edited three times in six seconds in the whole channel; one of them less often,
so that the others have their turn."""
CHUNK = 2**20
DOWNLOAD = aiohttp.ClientTimeout(total=1800, sock_connect=15, sock_read=60)

T = TypeVar("T")


class Discord:
    pace_s = 5.0

    def __init__(self, chosen: DiscordSettings, kept: Kept) -> None:
        self.kept = kept
        self.connection = Connection(chosen, self)
        self.stands = Cursor()
        self.edited_at: dict[MessageId, float] = {}
        self.old_edits: dict[str, list[float]] = {}
        self.opened: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def listen(self, handler: Handler, since: str) -> None:
        self.stands = Cursor(since)
        await self.connection.listen(handler)

    def cursor(self) -> str:
        return str(self.stands)

    async def close(self) -> None:
        await self.connection.close()

    def opening(self, place: Place) -> asyncio.Lock:
        """Held while the first message of a place is on its way, so that nothing else opens the same thread."""
        return self.opened.setdefault(place.id, asyncio.Lock())

    # ---- saying

    async def post(self, place: Place, message: Message) -> MessageId:
        if message.only_for:
            place = Place(f"@{message.only_for.id}")
        known = self.kept.get("post", message.key)
        if known:
            return MessageId(known)
        client = await self.connection.client()
        async with self.opening(place):
            channel = await channel_of(client, self.kept, place)
        posted = await self._found(client, channel, message.key) if known is not None else 0
        if not posted:
            self.kept.put("post", message.key, "")
            posted = await self._in_thread(client, place, lambda: _send(client, channel, message, self.kept))
        self.kept.put("post", message.key, f"{channel}/{posted}")
        return MessageId(f"{channel}/{posted}")

    async def _found(self, client: discord.Client, channel: int, key: str) -> int:
        """The message of that key, if it was posted before its answer was lost; else 0."""
        sought = mark(key)
        with translated(client, channel, "view_channel", "read_message_history"):
            try:
                async for message in client.get_partial_messageable(channel).history(limit=LOOKED_BACK):
                    if any(getattr(component, "id", 0) == sought for component in message.components):
                        return message.id
            except discord.NotFound:
                return 0
        return 0

    async def _in_thread(self, client: discord.Client, place: Place, send: Callable[[], Awaitable[T]]) -> T:
        """Send; if the place is a thread that is not open, or sleeps in the archive, open it first."""
        thread = await channel_of(client, self.kept, place)
        needed = IN_THREADS if "/" in place.id else ("view_channel", "send_messages")
        with translated(client, thread, *needed, "attach_files"):
            try:
                return await send()
            except discord.HTTPException as error:
                if error.code == UNKNOWN_CHANNEL and "/" in place.id:
                    await open_thread(client, self.kept, place)
                elif is_archived(error):
                    await wake(client, thread)
                else:
                    raise
            return await send()

    async def edit(self, posted: MessageId, message: Message) -> None:
        channel, _, number = posted.partition("/")
        if not (channel.isdigit() and number.isdigit()):
            raise Gone(posted)
        is_old = int(number) < at(time.time() - OLD_S)
        if is_old:
            self._wait_if_too_often(posted, channel)
        client = await self.connection.client()

        async def change() -> None:
            view, files = shown(message, self.kept.custom_id)
            partial = client.get_partial_messageable(int(channel)).get_partial_message(int(number))
            try:
                await partial.edit(view=view, attachments=files, allowed_mentions=_mentions(message))
            finally:
                view.stop()

        await self._in_thread(client, Place(channel), change)
        self.edited_at[posted] = time.monotonic()
        if is_old:
            self.old_edits.setdefault(channel, []).append(time.monotonic())

    def _wait_if_too_often(self, posted: MessageId, channel: str) -> None:
        now = time.monotonic()
        if (since := now - self.edited_at.get(posted, -OLD_PACE_S)) < OLD_PACE_S:
            raise TryLater(OLD_PACE_S - since)
        recent = [then for then in self.old_edits.get(channel, ()) if now - then < OLD_WINDOW_S]
        self.old_edits[channel] = recent
        if len(recent) >= OLD_EDITS:
            raise TryLater(OLD_WINDOW_S - (now - recent[-OLD_EDITS]))

    # ---- files and people

    async def download(self, upload: Upload, target: Path) -> None:
        address = await self._address(upload)
        try:
            async with aiohttp.ClientSession(timeout=DOWNLOAD) as session, session.get(address) as answer:
                if answer.status >= 500 or answer.status == 429:
                    raise TryLater(5.0)
                if answer.status >= 400:
                    raise Gone(upload.name)
                await _write(answer, target, upload)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise TryLater(5.0) from error

    async def _address(self, upload: Upload) -> str:
        """A fresh address of the file: Discord's end after a day, so they are asked for anew from its message."""
        channel, _, rest = upload.id.partition("/")
        message, _, attachment = rest.partition("/")
        if channel == "slash":
            address = self.kept.get("url", message)
        elif channel.isdigit() and message.isdigit():
            address = await self._attachment(int(channel), int(message), attachment)
        else:
            address = None
        if not address:
            raise Gone(upload.name)
        return address

    async def _attachment(self, channel: int, message: int, attachment: str) -> str | None:
        client = await self.connection.client()
        with translated(client, channel, "view_channel", "read_message_history"):
            found = await client.get_partial_messageable(channel).fetch_message(message)
        return next((each.url for each in found.attachments if str(each.id) == attachment), None)

    async def groups(self, person: Person) -> frozenset[str]:
        """Ids of the person's roles in every server that the bot is in; a server's own id stands for everyone."""
        client = await self.connection.client()
        groups: set[str] = set()
        with translated(client, 0, "view_channel"):
            async for guild in client.fetch_guilds(limit=200):
                try:
                    member = await client.http.get_member(guild.id, int(person.id))
                except discord.NotFound:
                    continue
                groups |= {str(guild.id), *map(str, member["roles"])}
        return frozenset(groups)

    async def names(self, ids: Collection[str]) -> list[str]:
        """As members and roles are called in the first server that knows them."""
        client = await self.connection.client()
        found: dict[str, str] = {}
        with translated(client, 0, "view_channel"):
            async for guild in client.fetch_guilds(limit=200):
                roles = {str(role["id"]): role["name"] for role in await client.http.get_roles(guild.id)}
                for each in {each for each in ids if each.isdigit()} - found.keys():
                    with contextlib.suppress(discord.NotFound):
                        found[each] = roles.get(each) or await _called(client, guild.id, int(each))
        return sorted(found.get(each, each) for each in ids)

    def channel(self, place: Place) -> str:
        return place.id.partition("/")[0]

    async def is_private(self, place: Place) -> bool:
        """Whether everybody in the server sees the channel; of one that is not known, nobody may assume so."""
        client = await self.connection.client()
        channel = client.get_channel(int(place.id.partition("/")[0])) if place.id[:1].isdigit() else None
        if not isinstance(channel, discord.TextChannel | discord.VoiceChannel):
            return True
        return not channel.permissions_for(channel.guild.default_role).view_channel


async def _called(client: discord.Client, guild: int, person: int) -> str:
    member = await client.http.get_member(guild, person)
    user = member["user"]
    return str(member.get("nick") or user.get("global_name") or user["username"])


async def _send(client: discord.Client, channel: int, message: Message, kept: Kept) -> int:
    view, files = shown(message, kept.custom_id)
    try:
        sent = await client.get_partial_messageable(channel).send(
            view=view,
            files=files,
            nonce=nonce(message.key),
            silent=message.is_silent or not message.mentions,
            suppress_embeds=True,
            allowed_mentions=_mentions(message),
        )
    finally:
        view.stop()
    return sent.id


def _mentions(message: Message) -> discord.AllowedMentions:
    """Exactly those whom the message mentions, whatever its text says."""
    people = [discord.Object(int(person.id)) for person in message.mentions]
    return discord.AllowedMentions(everyone=False, roles=False, replied_user=False, users=people or False)


async def _write(answer: aiohttp.ClientResponse, target: Path, upload: Upload) -> None:
    """Stream to `target`, and never more than the size that was announced."""
    left = upload.size
    with target.open("wb") as file:
        async for chunk in answer.content.iter_chunked(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise Gone(upload.name)
            await asyncio.to_thread(file.write, chunk)
