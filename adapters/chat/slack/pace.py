"""How often each method of the Web API may be called: token buckets, a little below Slack's documented rates.

Slack's tiers count per method and workspace: tier 2 is 20 a minute, tier 3 is 50, tier 4 is 100;
`chat.postMessage` is one a second in a channel, with short bursts. A minute's share, a whole burst, and one call that
was long on its way stay below each of them together.
"""

import time
from collections.abc import Callable

from bot.chat import TryLater

TIER_2, TIER_3, TIER_4 = (3, 15 / 60), (5, 40 / 60), (15, 80 / 60)
POSTS = (4, 1.0)
RATES = {
    "chat.postMessage": POSTS,
    "chat.update": TIER_3,
    "conversations.history": TIER_3,
    "conversations.replies": TIER_3,
    "conversations.info": TIER_3,
    "conversations.open": TIER_3,
    "users.conversations": TIER_3,
    "usergroups.list": TIER_2,
    "files.list": TIER_3,
}
LIVING_S = 60.0
MIN_GAP_S = 3.0


class Bucket:
    """Holds at most `burst` tokens and gains `per_s` of them each second."""

    def __init__(self, burst: float, per_s: float, clock: Callable[[], float]) -> None:
        self.burst, self.per_s, self.clock = burst, per_s, clock
        self.tokens, self.at = burst, clock()
        self.closed_until = 0.0

    def take(self) -> None:
        """Raises TryLater, saying when there will be a token."""
        now = self.clock()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        wait = max(self.closed_until - now, (1 - self.tokens) / self.per_s)
        if wait > 0:
            raise TryLater(round(wait, 2))
        self.tokens -= 1


class Pace:
    """The buckets of one workspace."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self.edited: dict[str, float] = {}

    def take(self, method: str, channel: str) -> None:
        """Raises TryLater where the call would be one too many."""
        self._bucket(method, channel).take()

    def closed(self, method: str, channel: str, seconds: float) -> None:
        """Slack itself asked to wait."""
        bucket = self._bucket(method, channel)
        bucket.closed_until = self.clock() + seconds

    def _bucket(self, method: str, channel: str) -> Bucket:
        key = (method, channel if method == "chat.postMessage" else "")
        if key not in self.buckets:
            self.buckets[key] = Bucket(*RATES.get(method, TIER_4), self.clock)
        return self.buckets[key]

    def gap(self, message: str) -> float:
        """Note that `message` is edited; seconds between two edits of one message, so that all the messages
        edited lately share the workspace's allowance."""
        now = self.clock()
        self.edited = {name: at for name, at in self.edited.items() if now - at < LIVING_S} | {message: now}
        return max(MIN_GAP_S, len(self.edited) / TIER_3[1])
