"""Slack's rate limits: calls in the last minute by method and workspace; messages by channel, with short bursts."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

TIERS = {2: 20, 3: 50, 4: 100}
TIER = {
    "chat.update": 3, "conversations.history": 3, "conversations.replies": 3, "conversations.info": 3,
    "conversations.open": 3,
    "users.conversations": 3, "usergroups.list": 2, "files.list": 3,
}  # fmt: skip
BURST = 5.0


class Rates:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.calls: dict[str, deque[float]] = defaultdict(deque)
        self.posts: dict[str, tuple[float, float]] = {}

    def wait(self, method: str, channel: str) -> int:
        """Whole seconds for Retry-After; 0 where the call is taken."""
        return self._post(channel) if method == "chat.postMessage" else self._call(method)

    def _call(self, method: str) -> int:
        calls, now = self.calls[method], self.clock()
        while calls and now - calls[0] >= 60:
            calls.popleft()
        if len(calls) >= TIERS[TIER.get(method, 4)]:
            return max(1, round(60 - (now - calls[0])))
        calls.append(now)
        return 0

    def _post(self, channel: str) -> int:
        """One message a second, and no more than five at once."""
        now = self.clock()
        left, at = self.posts.get(channel, (BURST, now))
        left = min(BURST, left + now - at)
        self.posts[channel] = (left - 1 if left >= 1 else left, now)
        return 0 if left >= 1 else 1
