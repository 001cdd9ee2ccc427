"""Who is who, and which channel is meant: looked up once, kept for a while."""

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

from adapters.chat.slack.api import Api, Calls, Patient, Refused
from adapters.chat.slack.reading import Bot
from bot.chat import Denied, Gone, Person, TryLater
from engine.refusal import Refusal

CHANNEL = re.compile(r"[CDG][A-Z0-9]*[0-9][A-Z0-9]*")
USER = re.compile(r"[UW][A-Z0-9]+")
NAME_S = 2.0
MEMBER_S = 1.0
KEPT_S = 3600.0
CHANNEL_S = 600.0
GROUPS_S = 300.0
TYPES = "public_channel,private_channel,im"


Found = TypeVar("Found")


class Once:
    """Look-ups of which each is under way once: who asks for the same meanwhile gets its answer."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Task[Any]] = {}

    async def ask(self, what: str, asking: Callable[[], Coroutine[Any, Any, Found]]) -> Found:
        if what not in self.under_way:
            self.under_way[what] = task = asyncio.create_task(asking())
            task.add_done_callback(lambda ended: self._ended(what, ended))
        found: Found = await asyncio.shield(self.under_way[what])
        return found

    def _ended(self, what: str, task: asyncio.Task[Any]) -> None:
        del self.under_way[what]
        if not task.cancelled():
            task.exception()  # where nobody waits for it any more, it is nobody's error

    async def end(self) -> None:
        for task in (tasks := list(self.under_way.values())):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class People:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.bot: Bot | None = None
        self.once = Once()
        self.known: dict[str, tuple[float, Person]] = {}
        """People, and until when what is known of them is taken to hold."""
        self.channels: dict[str, tuple[float, dict[str, Any]]] = {}
        """What Slack says of the channels that the bot is in, and until when."""
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
        until, known = self.known.get(user, (0.0, None))
        if self.api.pace.clock() < until and known:
            return known
        try:
            return await self.once.ask(f"person {user}", lambda: self._look_up(user, name))
        except (TimeoutError, Gone, Denied, TryLater, Refused):
            return known or Person(user, name or user, is_guest=True)  # nobody is let in whom Slack does not vouch for

    async def _look_up(self, user: str, name: str) -> Person:
        async with asyncio.timeout(NAME_S):
            told = (await Patient(self.api).call("users.info", user=user))["user"]
            found = Person(user, _shown(told) or name or user, is_guest(told, (await self.me()).team))
        self.known[user] = self.api.pace.clock() + KEPT_S, found
        return found

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
        try:
            facts = await self.facts(channel)
        except (Gone, Denied, Refused):
            return True
        return bool(facts.get("is_private") or facts.get("is_im") or not facts.get("is_member"))

    async def is_in(self, channel: str) -> bool:
        """Whether the bot is there; while Slack does not say so in time, it is taken to be."""
        try:
            async with asyncio.timeout(MEMBER_S):
                facts = await self.facts(channel)
        except (Gone, Denied, Refused):
            return False
        except (TimeoutError, TryLater):
            return True
        return bool(facts.get("is_member") or facts.get("is_im"))

    async def facts(self, channel: str) -> dict[str, Any]:
        """What Slack says of a channel."""
        until, facts = self.channels.get(channel, (0.0, {}))
        if self.api.pace.clock() < until:
            return facts
        return await self.once.ask(f"channel {channel}", lambda: self._ask_for(channel))

    async def _ask_for(self, channel: str) -> dict[str, Any]:
        facts: dict[str, Any] = (await self.api.call("conversations.info", channel=channel))["channel"]
        if facts.get("is_member") or facts.get("is_im"):  # elsewhere it may be invited any moment
            self.channels[channel] = self.api.pace.clock() + CHANNEL_S, facts
        return facts

    async def groups(self, person: Person) -> frozenset[str]:
        """The handles of the user groups that the person is in, and `everyone`."""
        if self.api.pace.clock() >= self.members_until:
            await self.once.ask("groups", self._ask_for_groups)
        mine = (handle for handle, users in self.members.items() if person.id in users)
        return frozenset({"everyone", *mine})

    async def _ask_for_groups(self) -> None:
        answer = await self.api.call("usergroups.list", include_users=True)
        groups = answer.get("usergroups", [])
        self.members = {group["handle"]: frozenset(group.get("users", ())) for group in groups}
        self.members_until = self.api.pace.clock() + GROUPS_S


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
