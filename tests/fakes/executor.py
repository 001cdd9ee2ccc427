"""The executor port by hand: children are lists of events, and a test says what happens to them and when."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from engine.events import Event
from engine.executor import Handle, Phase, Slot
from engine.jobs import Attempt

RUNNING = Phase("running")


@dataclass
class Child:
    """What a test lets an attempt do."""

    attempt: Attempt
    events: list[Event] = field(default_factory=list)
    phase: Phase = RUNNING
    wishes: list[str] = field(default_factory=list)

    def say(self, kind: str, **data: object) -> None:
        seq = len(self.events) + 1
        self.events.append(Event(self.attempt.run, self.attempt.name, seq, 1000.0 + seq, kind, data))

    def end(self, code: int = 0) -> None:
        self.phase = Phase("exited", code=code)

    def lose(self) -> None:
        self.phase = Phase("lost", detail="its process was killed")

    @property
    def is_running(self) -> bool:
        return self.phase.name in ("pending", "running")


class FakeExecutor:
    """`children` is what outlives this object, as processes do: pass it to a second one.

    An attempt whose run folder has a file `play` behaves by it, as the programs of `tests.fakes.children` do.
    """

    def __init__(self, name: str = "fake", slots: int = 1, children: dict[Handle, Child] | None = None) -> None:
        self.name = name
        self.children = {} if children is None else children
        self.submits: list[str] = []
        self._slots = [Slot(f"{name}-{number}", 0, 8.0) for number in range(slots)]

    def child(self, run: str, attempt: str) -> Child:
        return self.children[Handle(self.name, f"{run}/{attempt}")]

    def slots(self) -> list[Slot]:
        return self._slots

    def handle_for(self, attempt: Attempt) -> Handle:
        return Handle(self.name, f"{attempt.run}/{attempt.name}")

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        self.submits.append(handle.id)
        if handle in self.children:
            return
        self.children[handle] = child = Child(attempt)
        script = attempt.run_folder / "play"
        if script.exists():
            play(child, script.read_text())

    async def observe(self, handle: Handle) -> Phase:
        child = self.children.get(handle)
        return child.phase if child else Phase("unknown", detail="no such attempt")

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        child = self.children.get(handle)
        return [event for event in child.events if event.seq > after_seq] if child else []

    async def cancel(self, handle: Handle, save: bool) -> None:
        child = self.children.get(handle)
        if not child or not child.is_running:
            return
        child.wishes.append("save" if save else "drop")
        if (child.attempt.run_folder / "play").exists():
            child.say("stopped", step=1, steps=1000)
            child.end()

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        folder = self.children[handle].attempt.folder
        for name in names:
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise ValueError(name)
            copy = shutil.copytree if (folder / name).is_dir() else shutil.copy2
            copy(folder / name, target / name)

    async def list(self) -> list[Handle]:
        return [handle for handle, child in self.children.items() if child.is_running]


def play(child: Child, name: str) -> None:
    """What the program of that name in `tests.fakes.children` would do."""
    child.say("started", steps=3)
    if name == "works":
        child.say("step", step=1, steps=1000, loss=1.0)
    elif name == "breaks":
        child.end(3)
    elif name == "reports":
        for step in (1, 2, 3):
            child.say("step", step=step, steps=3, loss=1.0 / step)
        (child.attempt.folder / "output").mkdir(parents=True)
        (child.attempt.folder / "output" / "model.txt").write_text("weights")
        child.say("finished")
        child.end()
    else:
        raise ValueError(f"no such play: {name}")
