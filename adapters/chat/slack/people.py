"""Who is who, and which channel is meant: looked up once, kept for a while."""

import asyncio
import re
from collections.abc import Collection
from typing import Any

from adapters.chat.slack.api import Api, Calls, Refused
from adapters.chat.slack.reading import Bot
from bot.chat import Denied, Gone, Person, TryLater
from engine.refusal import Refusal

CHANNEL = re.compile(r"[CDG][A-Z0-9]*[0-9][A-Z0-9]*")
USER = re.compile(r"[UW][A-Z0-9]+")
NAME_S = 2.0
GROUPS_S = 300.0
TYPES = "public_channel,private_channel,im"


class People:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.bot: Bot | None = None
        self.names: dict[str, str] = {}
        self.guests: set[str] = set()
        self.is_open: dict[str, bool] = {}
        self.directs: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.members: dict[str, frozenset[str]] = {}
        self.members_until = 0.0

    async def me(self) -> Bot:
        """Who the bot is. Raises Refusal when Slack does not take its token."""
        if self.bot is None:
            try:
                answer = await self.api.call("auth.test")
            except TryLater:
                if not self.api.broken:
                    raise
                raise Refusal(f"Slack does not take SLACK_BOT_TOKEN ({self.api.broken}).", "SLACK_BOT_TOKEN") from None
            self.bot = Bot(
                answer["team_id"], answer["user_id"], answer.get("user", "threadtune"), answer.get("bot_id", "")
            )
        return self.bot

    async def person(self, user: str, name: str = "") -> Person:
        """With the name that people see; in time for an answer to Slack, so a slow look-up yields `name` or the id."""
        if user not in self.names:
            try:
                async with asyncio.timeout(NAME_S):
                    answer = await self.api.call("users.info", user=user)
                self.names[user] = _shown(answer["user"]) or name or user
                if is_guest(answer["user"], (await self.me()).team):
                    self.guests.add(user)
            except (TimeoutError, Gone, Denied, TryLater, Refused):
                return Person(user, name or user, is_guest=True)  # nobody is let in whom Slack does not vouch for
        return Person(user, self.names[user], user in self.guests)

    async def names_of(self, ids: Collection[str]) -> list[str]:
        """The names of people; groups are named by their handles already."""
        return sorted([(await self.person(each)).name if USER.fullmatch(each) else each for each in ids])

    async def direct(self, user: str) -> str:
        """The channel of a person's direct messages."""
        if user not in self.directs:
            answer = await self.api.call("conversations.open", users=user)
            self.directs[user] = answer["channel"]["id"]
        return self.directs[user]

    async def channel(self, word: str) -> str:
        """The id of a channel that may be written by its name; of a person's messages, as in `@U0123`."""
        if CHANNEL.fullmatch(word):
            return word
        if word.startswith("@"):
            return await self.direct(word[1:])
        if word not in self.named:
            for channel in await channels(self.api):
                self.named |= {channel.get("name", ""): channel["id"], f"#{channel.get('name', '')}": channel["id"]}
        if word not in self.named:
            raise Gone(f"{word}: there is no such channel, or I am not in it")
        return self.named[word]

    async def is_private(self, channel: str) -> bool:
        """Whether it is anything but a public channel that the bot is in."""
        if channel not in self.is_open:
            found = await channels(self.api)
            self.is_open |= {each["id"]: not (each.get("is_private") or each.get("is_im")) for each in found}
        return not self.is_open.get(channel, False)

    async def groups(self, person: Person) -> frozenset[str]:
        """The handles of the user groups that the person is in, and `everyone`."""
        now = self.api.pace.clock()
        if now >= self.members_until:
            answer = await self.api.call("usergroups.list", include_users=True)
            groups = answer.get("usergroups", [])
            self.members = {group["handle"]: frozenset(group.get("users", ())) for group in groups}
            self.members_until = now + GROUPS_S
        mine = (handle for handle, users in self.members.items() if person.id in users)
        return frozenset({"everyone", *mine})


def is_guest(user: dict[str, Any], team: str) -> bool:
    """A guest of the workspace, or somebody of another one (Slack Connect), by what `users.info` says."""
    is_foreign = bool(user.get("is_stranger")) or user.get("team_id", team) != team
    return is_foreign or bool(user.get("is_restricted")) or bool(user.get("is_ultra_restricted"))


def _shown(user: dict[str, Any]) -> str:
    profile = user.get("profile") or {}
    return profile.get("display_name") or profile.get("real_name") or user.get("real_name") or user.get("name") or ""


async def channels(api: Calls) -> list[dict[str, Any]]:
    """The channels and direct messages that the bot is in."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await api.call("users.conversations", types=TYPES, limit=200, cursor=cursor or None)
        found += answer.get("channels", [])
        cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
        if not cursor:
            return found
