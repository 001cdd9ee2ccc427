"""What the adapter has to remember over a restart: which key became which message, a few names too long to send, and
where it stands in each channel."""

import hashlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from discord.utils import DISCORD_EPOCH

LONGEST_ACTION = 100
DAY_S = 86_400.0
KEPT_S = {"url": DAY_S, "post": 90 * DAY_S, "action": 90 * DAY_S}
"""How long what is kept can be of use; the address of a file on Discord's server ends after a day."""


class Kept:
    """Small texts by kind and key, each written at once.

    `post`: key of a message → its id, empty while it is being posted · `root`: interaction → the message that began
    its thread · `alias`: thread → place · `action`: hash → action · `url`: attachment → address · `commands`: hash.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.db = sqlite3.connect(folder / "kept.db", isolation_level=None)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=NORMAL")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS kept (kind TEXT, key TEXT, value TEXT, at REAL, PRIMARY KEY (kind, key))"
        )
        for kind, age_s in KEPT_S.items():
            self.db.execute("DELETE FROM kept WHERE kind = ? AND at < ?", (kind, time.time() - age_s))

    def get(self, kind: str, key: str) -> str | None:
        row = self.db.execute("SELECT value FROM kept WHERE kind = ? AND key = ?", (kind, key)).fetchone()
        return row[0] if row else None

    def put(self, kind: str, key: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?)", (kind, key, value, time.time()))

    def drop(self, kind: str, key: str) -> None:
        self.db.execute("DELETE FROM kept WHERE kind = ? AND key = ?", (kind, key))

    def custom_id(self, action: str) -> str:
        """At most 100 characters that stand for the action of a button."""
        if len(action) <= LONGEST_ACTION and not action.startswith("#"):
            return action
        short = "#" + hashlib.blake2b(action.encode(), digest_size=16).hexdigest()
        self.put("action", short, action)
        return short

    def action(self, custom_id: str) -> str:
        """The action of a button. Empty if it was a long one that is no longer known."""
        return (self.get("action", custom_id) or "") if custom_id.startswith("#") else custom_id

    def close(self) -> None:
        self.db.close()


FIRST_LOOK_S = 600.0
"""A bot that starts for the first time reads what was said to it in the last ten minutes."""
MAX_CHANNELS = 2000


def at(seconds: float) -> int:
    """The id that a message of that time (seconds since 1970) would have."""
    return (int(seconds * 1000) - DISCORD_EPOCH) << 22


class Cursor:
    def __init__(self, since: str = "") -> None:
        stood: dict[str, Any] = json.loads(since) if since else {"floor": at(time.time() - FIRST_LOOK_S), "last": {}}
        self.floor: int = stood["floor"]
        self.last: dict[int, int] = {int(channel): message for channel, message in stood["last"].items()}

    def after(self, channel: int) -> int:
        return self.last.get(channel, self.floor)

    def passed(self, channel: int, message: int) -> None:
        """The message was handed over. Channels in which nothing happened for long are forgotten: all of theirs is
        older than what the others begin after."""
        self.last[channel] = max(message, self.after(channel))
        if len(self.last) > MAX_CHANNELS:
            oldest = min(self.last, key=lambda each: self.last[each])
            self.floor = max(self.floor, self.last.pop(oldest))

    def __str__(self) -> str:
        return json.dumps({"floor": self.floor, "last": self.last})
