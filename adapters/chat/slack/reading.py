"""Slack's payloads → what somebody did. Pure; keys come from what is equal however often Slack delivers it."""

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from bot.chat import Command, Incoming, Person, Place, Press, Upload
from bot.talk.commands import parse
from bot.talk.datasets.asked import FENCE
from engine.refusal import Refusal

Payload = dict[str, Any]
FROM_PEOPLE = (None, "file_share", "thread_broadcast")
LINK = re.compile(r"<(?:https?|mailto):[^|>]*\|([^>]*)>|<((?:https?|mailto):[^>]*)>")
HALF = re.compile("[\ud800-\udfff]")
"""Half a character, which is no text and cannot be stored."""
QUOTES = str.maketrans("“”„‘’", '"""\'\'')


@dataclass(frozen=True)
class Bot:
    """Who the bot is in its workspace."""

    team: str
    user: str
    name: str
    id: str = ""


@dataclass(frozen=True)
class Where:
    """A place of Slack: a thread of a channel, a channel or direct messages, or what only one person sees there."""

    channel: str
    thread: str = ""
    only: str = ""

    def place(self, team: str) -> Place:
        rest = f"@{self.only}" if self.only else self.thread
        return Place("/".join(filter(None, (team, self.channel, rest))))


def where(place: Place) -> Where:
    """The other way round; a channel may also be what an operator writes: an id, or a name with or without #."""
    team, _, rest = place.id.partition("/")
    if not rest:
        return Where(team)
    channel, _, end = rest.partition("/")
    return Where(channel, only=end[1:]) if end.startswith("@") else Where(channel, end)


def is_direct(channel: str) -> bool:
    return channel.startswith("D")


def is_from_a_person(message: Payload, me: Bot) -> bool:
    """Neither the bot itself nor another bot, and no note of Slack's such as a join or an edit."""
    is_bot = message.get("bot_id") or message.get("bot_profile") or message.get("user") in (None, me.user, "USLACKBOT")
    return message.get("subtype") in FROM_PEOPLE and not is_bot


def incomings(message: Payload, channel: str, me: Bot, person: Person) -> Iterable[Incoming]:
    """What a message asks of the bot: its files first, then its words where they are meant for the bot."""
    place = _thread(message, channel).place(me.team)
    key = f"slack/{channel}/{message['ts']}"
    files = [file for file in message.get("files") or () if file.get("id")]
    for file in files:
        yield Incoming(f"{key}/{file['id']}", place, person, upload(file))
    words = said_to_the_bot(message.get("text") or "", channel, me)
    if words is not None and not (files and is_direct(channel) and not _is_command(words)):
        yield Incoming(key, place, person, Command(words))


def upload(file: Payload) -> Upload:
    name = HALF.sub("\ufffd", file.get("name") or file.get("title") or "file")
    return Upload(file["id"], name, int(file.get("size") or 0))


def _thread(message: Payload, channel: str) -> Where:
    """A message's own thread, or the one that it stands in; direct messages are one conversation."""
    if is_direct(channel):
        return Where(channel, message.get("thread_ts") or "")
    return Where(channel, message.get("thread_ts") or message["ts"])


def said_to_the_bot(text: str, channel: str, me: Bot) -> str | None:
    """The words that follow the bot's name, or all of them in direct messages; None where it was not addressed."""
    mention = re.search(rf"<@{me.user}(\|[^>]*)?>", text)
    if mention:
        return words(text[: mention.start()] + " " + text[mention.end() :])
    return words(text) if is_direct(channel) and text.strip() else None


def words(text: str) -> str:
    """As it was typed: without Slack's link marks, entities and curly quotes, and without `/finetune` itself. In a code
    block, where rows are pasted, quotes and spaces stay what they are."""
    parts = html.unescape(LINK.sub(lambda link: link[1] or link[2], text)).split(FENCE)
    typed = (part if n % 2 else part.translate(QUOTES).replace("\xa0", " ") for n, part in enumerate(parts))
    bare = FENCE.join(typed)
    return HALF.sub("\ufffd", bare).strip().removeprefix("/finetune").strip()


def _is_command(text: str) -> bool:
    try:
        parse(text)
    except Refusal:
        return False
    return bool(text)


def press(body: Payload, me: Bot, person: Person) -> Incoming:
    action = body["actions"][0]
    return Incoming(f"slack/{body['trigger_id']}", pressed_at(body).place(me.team), person, Press(action["value"]))


def pressed_at(body: Payload) -> Where:
    container, message = body.get("container") or {}, body.get("message") or {}
    channel = (body.get("channel") or {}).get("id") or container.get("channel_id", "")
    if not channel:
        return Where(f"@{body['user']['id']}")
    if container.get("is_ephemeral"):
        thread = container.get("thread_ts") or ""
        return Where(channel, thread) if thread else Where(channel, only=body["user"]["id"])
    return Where(channel, message.get("thread_ts") or container.get("thread_ts") or "")


def slash(body: Payload, me: Bot, person: Person) -> Incoming:
    """Slash commands are answered where only who typed them sees it; they have no thread."""
    channel = body["channel_id"]
    place = Where(channel) if is_direct(channel) else Where(channel, only=person.id)
    return Incoming(f"slack/{body['trigger_id']}", place.place(me.team), person, Command(words(body.get("text") or "")))
