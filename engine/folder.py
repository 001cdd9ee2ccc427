"""A run's folder: what lies where. Everything in it is named relative to it, so that it can be moved or mounted.

spec.json                     the JobSpec (no secret, no absolute path)
estimate.json                 what the run was estimated to take, in seconds
model/                        the base model (a link into the cache, or a copy on a shared location)
config.yaml                   the same for people: `python -m engine train` takes it
data/source-train.arrow       the accepted rows of the upload as they stand in the file; source-valid.arrow alike
data/train.arrow valid.arrow  the rows in the trainer's columns
checkpoints/
attempts/<kind>-<n>/          events.jsonl heartbeat.json log.txt stop exit.json output/
"""

import os
import re
from dataclasses import replace
from pathlib import Path

import msgspec

from engine.events import read_events
from engine.jobs import Attempt, JobSpec

CLAIM = "claim.json"
"""In a run's folder: the repo that was made for it, and the commit that says so."""
REJECTED = "rows.jsonl"
"""In an attempt's folder: the rows that a training could not use, each with its number in the file and why."""
ATTEMPT_VARIABLE = "THREADTUNE_ATTEMPT"
"""Names the attempt, as `<run>/<kind>-<n>`, in the environment of everything that belongs to it."""


class RunFolder:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec_file = path / "spec.json"
        self.estimate_file = path / "estimate.json"
        self.config = path / "config.yaml"
        self.model = path / "model"
        self.data = path / "data"
        self.checkpoints = path / "checkpoints"
        self.attempts = path / "attempts"

    def source(self, part: str) -> Path:
        """`part` is train or valid."""
        return self.data / f"source-{part}.arrow"

    def rows(self, part: str) -> Path:
        return self.data / f"{part}.arrow"

    def write_spec(self, spec: JobSpec) -> None:
        """Store the spec without what only our side may know: where a local base model lies."""
        self.data.mkdir(parents=True, exist_ok=True)
        bare = replace(spec, model=replace(spec.model, folder=""))
        self.spec_file.write_bytes(msgspec.json.format(msgspec.json.encode(bare), indent=2))

    def read_spec(self) -> JobSpec:
        """Raises msgspec.ValidationError where the file is not a JobSpec of this version."""
        return msgspec.json.decode(self.spec_file.read_bytes(), type=JobSpec)

    def write_estimate(self, seconds: float) -> None:
        """For executors that are paid by the minute; a spec says what to do and not how long it takes."""
        self.estimate_file.write_bytes(msgspec.json.encode({"seconds": seconds}))

    def estimate_s(self) -> float:
        """0 where nobody estimated."""
        text = self.estimate_file.read_bytes() if self.estimate_file.exists() else b"{}"
        return msgspec.json.decode(text, type=dict[str, float]).get("seconds", 0.0)

    def current_attempt(self, kind: str) -> Attempt:
        """The attempt that the environment names, or the next one of that kind; its folder exists afterwards."""
        named = os.environ.get(ATTEMPT_VARIABLE, "")
        run, _, name = named.rpartition("/")
        if name.startswith(f"{kind}-"):
            attempt = Attempt(run, kind, int(name.removeprefix(f"{kind}-")), self.path)
        else:
            attempt = Attempt(self.path.name, kind, self.last_number(kind) + 1, self.path)
        attempt.folder.mkdir(parents=True, exist_ok=True)
        return attempt

    def last_number(self, kind: str) -> int:
        """The number of the latest attempt of that kind; 0 before the first."""
        names = (re.fullmatch(rf"{kind}-(\d+)", folder.name) for folder in self.attempts.glob(f"{kind}-*"))
        return max((int(name[1]) for name in names if name), default=0)

    def finished(self, kind: str) -> Attempt | None:
        """The latest attempt of that kind that ended well."""
        for number in range(self.last_number(kind), 0, -1):
            attempt = Attempt(self.path.name, kind, number, self.path)
            events = read_events(attempt.folder / "events.jsonl")
            if events and events[-1].kind == "finished":
                return attempt
        return None
