"""Who is next: runs of different people take turns, runs of one person keep their order. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from engine.jobs import Run, Status


def in_turn(runs: Sequence[Run], last_started: Mapping[str, float]) -> list[Run]:
    """Open runs as they are to be attended: those that have begun, then the queue.

    A queued run's turn is how many of its requester's runs are at work or before it. Of equal turns, the one comes
    first whose requester's latest run began longest ago (`last_started`, in seconds since 1970), then the older one.
    """
    begun = [run for run in runs if run.status is not Status.queued]
    ahead = Counter(run.spec.requester for run in begun if run.status is Status.running)
    turns = []
    for run in runs:
        if run.status is Status.queued:
            who = run.spec.requester
            turns.append((ahead[who], last_started.get(who, 0.0), int(run.id), run))
            ahead[who] += 1
    return begun + [run for *_, run in sorted(turns, key=lambda turn: turn[:3])]
