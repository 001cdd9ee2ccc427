"""Several executors as one: each run goes to the one that its spec names, if the operator allows it, else the first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.events import Event
from engine.executor import Executor, Handle, Phase, Slot
from engine.folder import RunFolder
from engine.jobs import Attempt, JobSpec, Run
from engine.refusal import Refusal
from engine.store import Tried

HERE = "local"


@dataclass(frozen=True)
class Share:
    """How many runs of one requester, and of one channel, may be at work at once; 0 is any number."""

    of_person: int = 0
    of_channel: int = 0


class Places:
    """PORT Executor, over those of `executors` by their names; the first is the usual one."""

    def __init__(self, executors: Mapping[str, Executor]) -> None:
        self.executors = executors
        self.usual = next(iter(executors))

    def slots(self) -> list[Slot]:
        return [replace(slot, executor=name) for name, each in self.executors.items() for slot in each.slots()]

    def handle_for(self, attempt: Attempt) -> Handle:
        """By the spec in the run's folder; a model is asked on this machine where that is one of them."""
        named = RunFolder(attempt.run_folder).read_spec().executor or self.usual
        here = HERE if attempt.kind == "ask" and HERE in self.executors else named
        return self._of(here).handle_for(attempt)

    async def submit(self, attempt: Attempt, handle: Handle) -> None:
        await self._of(handle.executor).submit(attempt, handle)

    async def observe(self, handle: Handle) -> Phase:
        if handle.executor not in self.executors:
            return Phase("unknown", detail=f"{handle.executor} is none of EXECUTOR any more")
        return await self._of(handle.executor).observe(handle)

    async def events(self, handle: Handle, after_seq: int) -> list[Event]:
        return await self._of(handle.executor).events(handle, after_seq) if handle.executor in self.executors else []

    async def cancel(self, handle: Handle, save: bool) -> None:
        if handle.executor in self.executors:
            await self._of(handle.executor).cancel(handle, save)

    async def collect(self, handle: Handle, names: list[str], target: Path) -> None:
        await self._of(handle.executor).collect(handle, names, target)

    async def list(self) -> list[Handle]:
        return [handle for each in self.executors.values() for handle in await each.list()]

    def _of(self, name: str) -> Executor:
        if name not in self.executors:
            raise Refusal(f"No run may go to {name} any more: EXECUTOR has {', '.join(self.executors)}.", "on")
        return self.executors[name]


def has_room(slots: Sequence[Slot], spec: JobSpec, taken: Sequence[tuple[str, int]]) -> bool:
    """Whether a run fits in beside what is taken: an executor's name, and of how many devices, for each attempt there.

    Nothing fits where nothing is free just now. Where all is free, a run that wants more than there is may try: the
    executor then says what is wrong with it.
    """
    has_names = any(slot.executor for slot in slots)
    where = (spec.executor or slots[0].executor) if has_names else ""
    ours = [slot for slot in slots if slot.executor == where]
    if not ours:
        return False
    used = sum(1 if is_wide_enough(ours) else wide for name, wide in taken if name == where or not has_names)
    return used == 0 or used + width(spec, ours) <= len(ours)


def fits(run: Run, outstanding: Sequence[Tried], at_work: Sequence[Run], slots: Sequence[Slot]) -> bool:
    """Whether a run can train now, beside the attempts that are outstanding."""
    wide = {other.id: gpus_of(other.spec) for other in at_work}
    return has_room(slots, run.spec, [(tried.handle.executor, wide.get(tried.run, 1)) for tried in outstanding])


def is_next(run: Run, at_work: Sequence[Run], slots: Sequence[Slot], share: Share) -> bool:
    """Whether a queued run may begin: a place to train will be free, and nobody has more than a share."""
    spec = run.spec
    mine = sum(other.spec.requester == spec.requester for other in at_work)
    there = sum(other.spec.channel == spec.channel for other in at_work) if spec.channel else 0
    if (share.of_person and mine >= share.of_person) or (share.of_channel and there >= share.of_channel):
        return False
    usual = slots[0].executor if slots else ""
    taken = [(other.spec.executor or usual, gpus_of(other.spec)) for other in at_work]
    return has_room(slots, run.spec, taken)


def width(spec: JobSpec, slots: Sequence[Slot]) -> int:
    """How many slots a run takes: one for each GPU that it wants, where a slot is a GPU."""
    return 1 if is_wide_enough(slots) else gpus_of(spec)


def is_wide_enough(slots: Sequence[Slot]) -> bool:
    """Whether one slot holds a run of any number of devices: a machine without GPUs, or an executor that finds them."""
    return slots[0].is_any_width or not slots[0].gpus


def gpus_of(spec: JobSpec) -> int:
    return int(spec.parameters.get("gpus", 1))
