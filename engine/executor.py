"""PORT: places where an attempt can run. Adapters implement it; `tests/contract` says what they owe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine.events import Event
from engine.jobs import Attempt


@dataclass(frozen=True)
class Slot:
    """Room for one attempt. Memory in GB of the accelerator, or of the host where there is none.

    `executor` names whose it is where there are several. One that `is_any_width` takes a run of any number of
    devices; else a run takes as many slots as it wants GPUs.
    """

    name: str
    gpus: int
    memory_gb: float
    executor: str = ""
    is_any_width: bool = False
    usd_an_hour: float = 0.0
    """What it costs while a run uses it; 0 where it is ours."""


@dataclass(frozen=True)
class Handle:
    """Names an attempt on an executor; known before the attempt is submitted, so that it can be stored first."""

    executor: str
    id: str


@dataclass(frozen=True)
class Phase:
    """What an executor can say of an attempt: `pending`, `running`, `exited`, `lost` or `unknown`.

    `lost` means that it stopped without an exit record; `unknown` means that this executor
    cannot tell, which is never a failure. `code` is the child's exit code (negative: the signal).
    """

    name: str
    code: int | None = None
    detail: str = ""


class Executor(Protocol):
    def slots(self) -> list[Slot]:
        """The room there is in all, taken or free."""

    def handle_for(self, attempt: Attempt) -> Handle:
        """The same attempt always gets the same handle; store it before `submit`."""

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        """Start it; a second submit of the same handle does nothing."""

    async def observe(self, handle: Handle) -> Phase: ...

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        """What the attempt reported with `seq` above `after_seq`, in order, none twice."""

    async def cancel(self, handle: Handle, save: bool) -> None:
        """Ask it to end, keeping a checkpoint if `save`; by force after the grace. Harmless when repeated."""

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        """Bring files or folders of the attempt, named relative to its folder, into `target`."""

    async def list(self) -> list[Handle]:
        """Every attempt that still runs here, known to us or not."""
