"""People before Discord: what they see in one server's channel, and what they do there."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import discord
from simcord.actors import MemberActor
from simcord.backend.models import Message as Shown
from simcord.builders import ChannelHandle
from simcord.results import ResponseMessage

from bot.chat import Person, Upload
from tests.twins.discord import Wire

EPHEMERAL = 1 << 6
TEXT, BUTTON = 10, 2


class World:
    """One server with the channels `general` and `team`, and two people in it, of whom ann has a role."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.env, self.backend = wire.env, wire.backend
        self.guild = self.env.create_guild("Lab")
        self.general: ChannelHandle = self.guild.create_text_channel("general")
        self.team: ChannelHandle = self.guild.create_text_channel("team")
        self.trainers = self.guild.create_role("trainers")
        self.ann: MemberActor = self.guild.add_member(self.env.create_user("ann"), roles=[self.trainers])
        self.bob: MemberActor = self.guild.add_member(self.env.create_user("bob"))

    def person(self, who: MemberActor) -> Person:
        return Person(str(who.id), who.name)

    # ---- eyes

    def channel(self, number: int) -> ChannelHandle:
        return ChannelHandle(self.env, self.guild, self.backend.get_channel(number))

    def from_bot(self) -> list[Shown]:
        """Everything that the bot says anywhere, in order, without the platform's own notices."""
        said = [message for channel in self.backend.messages.values() for message in channel.values()]
        mine = [message for message in said if message.author_id == self.backend.bot_user.id and message.components]
        return sorted(mine, key=lambda message: message.id)

    def can_see(self, who: MemberActor, message: Shown) -> bool:
        channel = self.backend.get_channel(message.channel_id)
        if channel.guild_id is None:
            return who.id in channel.recipient_ids
        asked_by = (message.interaction_metadata or {}).get("user", {}).get("id")
        return not message.flags & EPHEMERAL or asked_by == str(who.id)

    def private(self) -> list[str]:
        """What was said so that only one person sees it."""
        return [plain(message) for message in self.from_bot() if message.flags & EPHEMERAL]

    def pinged(self, message: Shown) -> bool:
        return bool(message.ping_user_ids or message.ping_role_ids or message.mention_everyone)

    def reacted(self) -> list[int]:
        """The messages of people that the bot put its eyes on."""
        mine = self.backend.bot_user.id
        said = [message for channel in self.backend.messages.values() for message in channel.values()]
        return [m.id for m in said if any(mine in reaction.user_ids for reaction in m.reactions)]

    async def until(self, text: str, timeout_s: float = 60) -> Shown:
        """The first message of the bot that says this."""
        async with asyncio.timeout(timeout_s):
            while not (found := [m for m in self.from_bot() if text in plain(m)]):  # noqa: ASYNC110  a platform tells nobody
                await asyncio.sleep(0.02)
        return found[0]

    async def is_online(self) -> None:
        async with asyncio.timeout(60):
            while not (self.wire.is_online and self.backend.commands):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    # ---- hands

    async def drops(self, name: str, content: bytes, text: str = "", who: MemberActor | None = None) -> discord.Message:
        return await (who or self.ann).send(self.general, text, attachments=[(name, content)])

    async def presses(self, message: Shown, label: str, who: MemberActor | None = None) -> Any:
        return await (who or self.ann).click(ResponseMessage(self.env, message), label=label)

    def upload(self, message: discord.Message) -> Upload:
        file = message.attachments[0]
        return Upload(f"{message.channel.id}/{message.id}/{file.id}", file.filename, file.size)


def walk(components: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for component in components:
        yield component
        yield from walk(component.get("components", []))


def texts(message: Shown) -> list[str]:
    return [part["content"] for part in walk(message.components) if part["type"] == TEXT]


def buttons(message: Shown) -> list[str]:
    return [part["label"] for part in walk(message.components) if part["type"] == BUTTON]


def plain(message: Shown) -> str:
    """The text as people read it: without the signs that keep it from formatting."""
    return re.sub(r"\\([^\w\s])", r"\1", "\n".join(texts(message))).replace("\u200b", "")
