"""Runs that go wrong once, in event files as children write them."""

from engine.events import EventLog
from engine.jobs import Attempt
from tests.e2e.crowd import Crowd


class Unlucky(Crowd):
    """The first run's training breaks; pushes are refused until `may_push`."""

    may_push = False

    async def _play(self, attempt: Attempt) -> None:
        if attempt.kind == "train" and attempt.run == "1":
            self._breaks(attempt, "The training broke.", "crash")
        elif attempt.kind == "push" and not self.may_push:
            self._breaks(attempt, "The token may not write to that namespace.", "hub")
        else:
            await super()._play(attempt)

    def _breaks(self, attempt: Attempt, reason: str, code: str) -> None:
        log = EventLog(attempt.folder, attempt.run, attempt.name)
        log.write("started", steps=3)
        log.write("failed", reason=reason, code=code)
