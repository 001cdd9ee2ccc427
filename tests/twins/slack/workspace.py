"""What a workspace knows: people, channels, messages, files, forms; and how it misbehaves on demand."""

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

Payload = dict[str, Any]
BOT, BOT_ID, TEAM, APP = "U0BOT", "B0BOT", "T1", "A0APP"
SCOPES = {
    "channels:history", "channels:read", "chat:write", "commands", "files:read", "files:write", "groups:history",
    "groups:read", "im:history", "im:read", "im:write", "usergroups:read", "users:read",
}  # fmt: skip
TRIGGER_S = 3.0
WHISPERS, WHISPERS_S = 5, 1800.0


class SlackError(Exception):
    """An answer that is not ok; `more` goes into it beside `error`."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.more = error, more


@dataclass
class Channel:
    id: str
    name: str
    members: set[str]
    is_private: bool = False
    is_archived: bool = False

    @property
    def is_im(self) -> bool:
        return self.id.startswith("D")


@dataclass
class Shared:
    """A file; `facts` is what Slack says of it, `page` a sign-in page in place of its bytes."""

    facts: Payload
    content: bytes
    page: str = ""


@dataclass
class Workspace:
    bot_token: str = "xoxb-1-twin"
    app_token: str = "xapp-1-twin"
    signing_secret: str = "a secret of the twin"
    base: str = ""
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    users: dict[str, str] = field(default_factory=lambda: {"U1": "ann", "U2": "bob", BOT: "threadtune"})
    facts: dict[str, Payload] = field(default_factory=dict)
    """By user, what else `users.info` says, as in `{"is_restricted": True}`."""
    groups: dict[str, set[str]] = field(default_factory=lambda: {"ml-team": {"U1"}})
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[str, list[Payload]] = field(default_factory=lambda: defaultdict(list))
    private: list[Payload] = field(default_factory=list)
    files: dict[str, Shared] = field(default_factory=dict)
    uploads: dict[str, Payload] = field(default_factory=dict)
    views: dict[str, Payload] = field(default_factory=dict)
    homes: dict[str, Payload] = field(default_factory=dict)
    triggers: dict[str, float] = field(default_factory=dict)
    whispers: dict[str, tuple[str, str, str, float, int]] = field(default_factory=dict)
    """By the name of a response_url: user, channel, thread, when it was given out, and how often it was used."""
    suggested: list[list[str]] = field(default_factory=list)
    """What was offered each time that somebody typed into a searchable select."""
    form_errors: list[dict[str, str]] = field(default_factory=list)
    calls: list[tuple[str, Payload]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """The methods that were answered with 429."""
    pings: Counter[str] = field(default_factory=Counter)
    edits: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By method, how its next calls go wrong: `lost` (done, but no answer comes), `429`, `500`, or an error's name."""
    has_charts: bool = True
    """Whether the workspace takes the block for charts."""
    stamped: float = 0.0
    counted: int = 0

    def __post_init__(self) -> None:
        for channel in (Channel("C1", "ml", {"U1", "U2", BOT}), Channel("C2", "team", {"U1", "U2", BOT})):
            self.channels[channel.id] = channel
        self.channels["C3"] = Channel("C3", "elsewhere", {"U1", "U2"})
        self.channels["D1"] = Channel("D1", "", {"U1", BOT})

    def stamp(self) -> str:
        """Slack's timestamps: unique in the workspace, and they order its messages."""
        self.stamped = max(time.time(), self.stamped + 0.000_010)
        return f"{self.stamped:.6f}"

    def number(self, prefix: str) -> str:
        self.counted += 1
        return f"{prefix}{self.counted:06d}"

    def trigger(self) -> str:
        name = f"{self.number('7')}.{self.number('8')}.twin"
        self.triggers[name] = time.monotonic()
        return name

    def take_trigger(self, name: str) -> None:
        given = self.triggers.pop(name, None)
        if given is None:
            raise SlackError("exchanged_trigger_id" if name else "invalid_trigger_id")
        if time.monotonic() - given > TRIGGER_S:
            raise SlackError("expired_trigger_id")

    def response_url(self, user: str, channel: str, thread: str = "") -> str:
        """Where the app can answer whoever did something, a few times and for a while."""
        name = self.number("R")
        self.whispers[name] = user, channel, thread, time.monotonic(), 0
        return f"{self.base}/response/{name}"

    def whisper(self, name: str, said: Payload) -> None:
        """What an app says at a response_url: to that one person."""
        user, channel, thread, given, used = self.whispers.get(name, ("", "", "", 0.0, WHISPERS))
        if used >= WHISPERS or time.monotonic() - given > WHISPERS_S:
            raise SlackError("used_url" if user else "expired_url")
        self.whispers[name] = user, channel, thread, given, used + 1
        text, blocks = said.get("text", ""), said.get("blocks", [])
        told = {"ts": self.stamp(), "channel": channel, "user": user, "thread_ts": thread or None}
        self.private.append({**told, "text": text, "blocks": blocks})

    def channel(self, name: str, member: str = "") -> Channel:
        """The channel of that id, as far as `member` may see it."""
        channel = self.channels.get(name)
        if channel is None or (channel.is_private and member not in channel.members):
            raise SlackError("channel_not_found")
        return channel

    def message(self, channel: str, ts: str) -> Payload:
        for message in self.messages[channel]:
            if message["ts"] == ts:
                return message
        raise SlackError("message_not_found")

    def add(self, channel: str, message: Payload) -> Payload:
        """A message with its timestamp, and its thread's root counted up."""
        team = {} if message.get("subtype") == "file_share" else {"team": TEAM}
        said: Payload = {"type": "message", "ts": self.stamp(), **team, **message}
        thread = said.get("thread_ts")
        root = next((m for m in self.messages[channel] if m["ts"] == thread), None)
        if root:
            root |= {"thread_ts": thread, "latest_reply": said["ts"], "reply_count": root.get("reply_count", 0) + 1}
        self.messages[channel].append(said)
        return said

    def direct(self, user: str) -> Channel:
        for channel in self.channels.values():
            if channel.is_im and user in channel.members:
                return channel
        channel = Channel(self.number("D"), "", {user, BOT})
        self.channels[channel.id] = channel
        return channel

    def keep(self, name: str, content: bytes, user: str, **facts: Any) -> Shared:
        """A file that lies on the platform."""
        name_id = self.number("F")
        url = f"{self.base}/files/{name_id}/{name}"
        told = {
            "id": name_id, "name": name, "title": name, "mimetype": "text/csv", "filetype": "csv", "user": user,
            "mode": "hosted", "size": len(content), "url_private": url, "url_private_download": url,
            "is_external": False, "file_access": "visible",
        }  # fmt: skip
        self.files[name_id] = Shared({**told, **facts}, content)
        return self.files[name_id]
