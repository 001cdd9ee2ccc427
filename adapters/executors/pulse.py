"""Whether an attempt elsewhere still lives: its heartbeat changes, by our own clock, whatever the node's clock says."""

import time
from pathlib import Path

LAPSE_S = 20.0
"""A heartbeat comes every 2 seconds; a slow shared folder or a busy node may delay it."""


class Pulse:
    def __init__(self, lapse_s: float = LAPSE_S) -> None:
        self.lapse_s = lapse_s
        self._seen: dict[Path, tuple[bytes, float]] = {}

    def silent_s(self, folder: Path) -> float:
        """Seconds since the attempt's heartbeat last changed, as far as this object has looked."""
        file = folder / "heartbeat.json"
        beat = file.read_bytes() if file.exists() else b""
        now = time.monotonic()
        if folder not in self._seen or self._seen[folder][0] != beat:
            self._seen[folder] = (beat, now)
        return now - self._seen[folder][1]
