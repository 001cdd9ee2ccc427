"""How often Discord lets a bot ask, as its documentation and its libraries tell: with headers that say so before it
refuses, and a list of what was refused."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

ROUTE = re.compile(r"/channels/(\d+)/messages(?:/(\d+))?(/threads|/reactions/.*)?")
MESSAGES, REACTIONS, OLD_EDITS, GLOBAL = (5, 5.0), (1, 0.25), (3, 6.0), (50, 1.0)
"""How many, in how many seconds."""
OLD_S = 3600.0
EPOCH_MS = 1_420_070_400_000


@dataclass
class Window:
    began: float
    count: int = 0


@dataclass
class Refused:
    """A 429: after how many seconds to ask again, for which bucket."""

    wait_s: float
    bucket: str


@dataclass
class Rates:
    """`messages` is the limit of a channel's posts, and of its edits. Without `has_headers` only refusals say that
    there is one. `refused` are the requests that got a 429. `now` is in seconds since 1970."""

    messages: tuple[int, float] = MESSAGES
    has_headers: bool = True
    old_s: float = OLD_S
    now: Callable[[], float] = time.time
    refused: list[str] = field(default_factory=list)
    windows: dict[str, Window] = field(default_factory=dict)

    def take(self, method: str, path: str) -> dict[str, str] | Refused:
        """One request more: the headers of its answer, or why there is none."""
        if path.startswith(("/interactions/", "/webhooks/")):
            return {}
        found = self._of(method, path)
        for bucket, limit in [*found, ("global", GLOBAL)]:
            if (wait_s := self._wait(bucket, limit)) > 0:
                self.refused.append(f"{bucket}: {method} {path}")
                return Refused(wait_s, bucket)
        for bucket, _ in [*found, ("global", GLOBAL)]:
            self.windows[bucket].count += 1
        return self._headers(*found[-1]) if found and self.has_headers else {}

    def _of(self, method: str, path: str) -> list[tuple[str, tuple[int, float]]]:
        """The buckets of a request; the last one is what its answer tells of."""
        route = ROUTE.fullmatch(path)
        if not route:
            return []
        channel, message, rest = route.groups()
        if rest:
            return [(f"reactions {channel}", REACTIONS)] if "reactions" in rest else []
        if method not in ("POST", "PATCH"):
            return []
        usual = (f"{method} {channel}", self.messages)
        is_old = message is not None and self.now() - ((int(message) >> 22) + EPOCH_MS) / 1000 > self.old_s
        return [(f"old {channel}", OLD_EDITS), usual] if is_old and method == "PATCH" else [usual]

    def _wait(self, bucket: str, limit: tuple[int, float]) -> float:
        count, seconds = limit
        window = self.windows.get(bucket)
        if window is None or self.now() - window.began >= seconds:
            self.windows[bucket] = Window(self.now())
            return 0.0
        return window.began + seconds - self.now() if window.count >= count else 0.0

    def _headers(self, bucket: str, limit: tuple[int, float]) -> dict[str, str]:
        count, seconds = limit
        window = self.windows[bucket]
        return {
            "X-RateLimit-Bucket": bucket.split()[0],
            "X-RateLimit-Limit": str(count),
            "X-RateLimit-Remaining": str(count - window.count),
            "X-RateLimit-Reset-After": f"{max(0.0, window.began + seconds - self.now()) + 0.002:.3f}",
        }
