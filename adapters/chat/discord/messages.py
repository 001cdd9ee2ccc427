"""A message of a channel → what somebody did: a file that is offered for use, or words to the bot."""

import contextlib
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import discord

from adapters.chat.discord.commands import FILES
from adapters.chat.discord.places import on_message, open_thread
from bot.chat import Button, Command, Denied, Handler, Incoming, Message, Person, Place, Upload
from bot.talk.datasets.asked import FENCE
from bot.wording.numbers import size
from engine.refusal import Refusal

if TYPE_CHECKING:
    from adapters.chat.discord.chat import Discord

SEEN = "\N{EYES}"
MAX_OFFERED = 5


async def took(chat: "Discord", handler: Handler, message: discord.Message) -> None:
    """Returns once it is stored, or is nothing to us. What bots say, this one too, is nothing."""
    if message.author.bot or message.webhook_id or message.is_system():
        return
    client = await chat.connection.client()
    me = client.user
    is_direct = message.guild is None
    is_called = is_direct or (me is not None and (me in message.mentions or answers(message, me.id)))
    channel = await whole(client, message)
    files = data_files(message)
    words = said(message.content, me.id if me else 0)
    if files and (is_called or chat.connection.chosen.notices(message.channel.id, parent(channel))):
        await dropped(chat, handler, channel, message, files)
    if is_called and FENCE in words and chat.connection.chosen.drops != "on":
        await asked(chat, message, lambda: offer_rows(chat, channel, message))
    elif is_called and (words or not files):
        await heard(chat, handler, on_message(chat.kept, channel, message), message, words or "help")


async def whole(client: discord.Client, message: discord.Message) -> object:
    """The message's channel; asked for where the gateway did not describe it, as with a thread from the archive."""
    is_known = message.guild is None or not isinstance(message.channel, discord.PartialMessageable)
    return message.channel if is_known else await client.fetch_channel(message.channel.id)


def answers(message: discord.Message, me: int) -> bool:
    answered = message.reference.resolved if message.reference else None
    return isinstance(answered, discord.Message) and answered.author.id == me


def parent(channel: object) -> int | None:
    return channel.parent_id if isinstance(channel, discord.Thread) else None


def data_files(message: discord.Message) -> list[discord.Attachment]:
    return [file for file in message.attachments if file.filename.lower().endswith(FILES)][:MAX_OFFERED]


def said(content: str, me: int) -> str:
    """The words to the bot, without its name and without `/finetune`."""
    return re.sub(rf"<@!?{me}>", " ", content).strip().removeprefix("/finetune").strip()


def person(who: discord.User | discord.Member) -> Person:
    """Discord calls somebody a guest who was invited for a voice channel only."""
    is_guest = isinstance(who, discord.Member) and who.flags.guest
    return Person(str(who.id), who.display_name, is_guest)


def upload(message: discord.Message, file: discord.Attachment) -> Upload:
    return Upload(f"{message.channel.id}/{message.id}/{file.id}", file.filename, file.size)


async def heard(chat: "Discord", handler: Handler, place: Place, message: discord.Message, words: str) -> None:
    key = f"discord/{message.id}"
    refusal = await handler(Incoming(key, place, person(message.author), Command(words)))
    await seen(message)
    if refusal:
        await chat.post(place, Message(f"{key}/refusal", at_field(refusal)))


async def seen(message: discord.Message) -> None:
    """Let the person see that it arrived; where reactions are not allowed, the answer itself has to do."""
    with contextlib.suppress(discord.HTTPException):
        await message.add_reaction(SEEN)


def at_field(refusal: Refusal) -> str:
    return f"{refusal.field}: {refusal.text}" if refusal.field else refusal.text


async def dropped(
    chat: "Discord", handler: Handler, channel: object, message: discord.Message, files: list[discord.Attachment]
) -> None:
    """Files are read only when their uploader says so, unless the operator took that on with DROPS=on."""
    if chat.connection.chosen.drops != "on":
        await asked(chat, message, lambda: offer(chat, channel, message, files))
        return
    for file in files:
        what = upload(message, file)
        await handler(Incoming(use_key(what), on_message(chat.kept, channel, message), person(message.author), what))
    await seen(message)


def use_key(what: Upload) -> str:
    return f"discord/{what.id.rpartition('/')[2]}"


async def asked(chat: "Discord", message: discord.Message, offers: Callable[[], Awaitable[None]]) -> None:
    """Where the bot may not ask there, its author hears why."""
    try:
        await offers()
    except Denied as denied:
        await say_what_is_lacking(chat, message, denied)


async def offer(chat: "Discord", channel: object, message: discord.Message, files: list[discord.Attachment]) -> None:
    """Ask the uploader in a thread on the message. Only names and sizes were seen so far, and nothing is kept."""
    await _offer(chat, channel, message, f"Fine-tune on {files[0].filename}?", offer_of(message, files))


async def offer_rows(chat: "Discord", channel: object, message: discord.Message) -> None:
    """Rows that stand in a message are its content: as with a file, they are stored only once its author says so."""
    await _offer(chat, channel, message, "Fine-tune on these rows?", offer_of_rows(message))


async def _offer(chat: "Discord", channel: object, message: discord.Message, name: str, said: Message) -> None:
    place = on_message(chat.kept, channel, message)
    if isinstance(channel, discord.TextChannel):
        await open_thread(await chat.connection.client(), chat.kept, place, name)
    await chat.post(place, said)


async def say_what_is_lacking(chat: "Discord", message: discord.Message, denied: Denied) -> None:
    """To the uploader alone, for in that channel the bot cannot say it. Raises Denied if not even that is allowed."""
    text = f"I cannot ask you about your data in #{message.channel}: there I lack the permission {denied.permission}."
    place = Place(f"@{message.author.id}")
    await chat.post(
        place, Message(f"lacking/{message.id}", f"{text} Somebody who manages the server can give it to me.")
    )


def offer_of(message: discord.Message, files: list[discord.Attachment]) -> Message:
    names = ", ".join(f"{file.filename} ({size(file.size)})" for file in files)
    label = "Use this file" if len(files) == 1 else "Use {}"
    return Message(
        f"offer/{message.id}",
        f"{message.author.display_name}, shall I use {names}? I have not opened it. "
        "If you press, I fetch it, check it, and keep a copy on my server for the runs that are started on it. "
        "What people write here is never used for training. "
        "Nobody but you can say so, and without a click nothing happens.",
        buttons=tuple(Button(label.format(file.filename), use_action(message, file), "primary") for file in files),
    )


def offer_of_rows(message: discord.Message) -> Message:
    return Message(
        f"offer/{message.id}/rows",
        f"{message.author.display_name}, shall I use the rows in your message? I have kept nothing of them. "
        "If you press, I read them, check them, and keep a copy on my server for the runs that are started on it. "
        "Nobody but you can say so, and without a click nothing happens.",
        buttons=(Button("Use these rows", f"rows:{message.channel.id}:{message.id}", "primary"),),
    )


def use_action(message: discord.Message, file: discord.Attachment) -> str:
    return f"use:{message.channel.id}:{message.id}:{file.id}"
