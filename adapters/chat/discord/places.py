"""Places: a channel, a thread on one of its messages, a person; and how a thread is opened once.

`<channel>` · `<channel>/<message>`: the thread on that message, opened when something is first posted there (Discord
gives it the message's id) · `<channel>/i<interaction>`: the thread on the card that answers a command · `@<person>`.
"""

import re
from typing import Literal

import discord

from adapters.chat.discord.errors import ARCHIVED, HAS_THREAD, translated
from adapters.chat.discord.kept import Kept
from adapters.chat.discord.views import nonce, shown
from bot.chat import Gone, Message, Place

FORM = re.compile(r"@\d+|\d+(/i?\d+)?")
THREAD_NAME = "Fine-tuning"
ARCHIVE_MINUTES: Literal[10_080] = 10_080
IN_THREADS = ("view_channel", "send_messages_in_threads")


def place_of(kept: Kept, channel: object, person: int) -> Place:
    """Where somebody said something."""
    if isinstance(channel, discord.Thread):
        return Place(kept.get("alias", str(channel.id)) or f"{channel.parent_id}/{channel.id}")
    if isinstance(channel, discord.TextChannel | discord.VoiceChannel):
        return Place(str(channel.id))
    return Place(f"@{person}")


def on_message(kept: Kept, channel: object, message: discord.Message) -> Place:
    """The thread on a message of `channel`; where that is a thread already, or direct messages, that one."""
    here = place_of(kept, channel, message.author.id)
    return here if "/" in here.id or here.id.startswith("@") else Place(f"{here.id}/{message.id}")


async def channel_of(client: discord.Client, kept: Kept, place: Place) -> int:
    """The channel to post to. Raises Gone for a place that there cannot be."""
    if not FORM.fullmatch(place.id):
        raise Gone(place.id)
    if place.id.startswith("@"):
        with translated(client, 0):
            return (await client.create_dm(discord.Object(int(place.id[1:])))).id
    channel, _, thread = place.id.partition("/")
    if not thread:
        return int(channel)
    if thread.startswith("i"):
        return await root_of(client, kept, place)
    return int(thread)


async def root_of(client: discord.Client, kept: Kept, place: Place) -> int:
    """The message that a command's thread is on. There is none if the bot ended before it could answer: then one is
    posted now."""
    if root := kept.get("root", place.id):
        return int(root)
    channel = int(place.id.partition("/")[0])
    view, _ = shown(Message(place.id, "/finetune"), kept.custom_id)
    with translated(client, channel, "view_channel", "send_messages"):
        sent = await client.get_partial_messageable(channel).send(view=view, nonce=nonce(place.id), silent=True)
    view.stop()
    remember_root(kept, place, sent.id)
    return sent.id


def remember_root(kept: Kept, place: Place, message: int) -> None:
    kept.put("root", place.id, str(message))
    kept.put("alias", str(message), place.id)


async def open_thread(client: discord.Client, kept: Kept, place: Place, name: str = THREAD_NAME) -> None:
    """Open the thread of a place; nothing happens if it is open. Raises Gone when its message was deleted."""
    channel, message = int(place.id.partition("/")[0]), await channel_of(client, kept, place)
    needed = ("view_channel", "create_public_threads", "send_messages_in_threads")
    with translated(client, channel, *needed):
        try:
            await client.http.start_thread_with_message(
                channel, message, name=name[:100], auto_archive_duration=ARCHIVE_MINUTES
            )
        except discord.HTTPException as error:
            if error.code != HAS_THREAD:
                raise


async def wake(client: discord.Client, thread: int) -> None:
    """Take a thread out of the archive, which Discord puts it into after a week of silence."""
    with translated(client, thread, *IN_THREADS):
        await client.http.edit_channel(thread, archived=False)


def is_archived(error: discord.HTTPException) -> bool:
    return error.code == ARCHIVED
