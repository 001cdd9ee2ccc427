"""People take turns."""

from dataclasses import replace

from engine.jobs import JobSpec, Model, Run, Source, Status
from engine.store import starts, turns

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}))


def queue(*requesters: str) -> list[Run]:
    return [Run(str(number), replace(SPEC, requester=name)) for number, name in enumerate(requesters, 1)]


def order(runs: list[Run], since: dict[str, float] | None = None) -> str:
    return " ".join(run.id for run in turns(runs, since or {}))


def test_one_persons_runs_keep_their_order() -> None:
    assert order(queue("ann", "ann", "ann")) == "1 2 3"


def test_a_second_person_need_not_wait_for_all_of_the_first_ones() -> None:
    assert order(queue("ann", "ann", "ann", "bob", "bob", "eve")) == "1 4 6 2 5 3"


def test_who_has_a_run_at_work_waits_for_those_who_have_none() -> None:
    runs = queue("ann", "ann", "bob")
    runs[0] = replace(runs[0], status=Status.running)
    assert order(runs) == "1 3 2"


def test_who_had_a_turn_last_comes_last() -> None:
    assert order(queue("ann", "bob", "ann"), {"ann": 20.0, "bob": 10.0}) == "2 1 3"


def test_a_queued_run_starts_when_what_is_before_it_is_likely_to_end() -> None:
    at_work, first, second, unknown, last = queue("ann", "bob", "bob", "bob", "bob")
    at_work = replace(at_work, status=Status.running, started_at=100.0, estimate_s=600.0)
    first, second = (replace(run, estimate_s=60.0) for run in (first, second))
    assert starts([at_work, first, second, unknown, last], 1, 400.0) == {"2": 300.0, "3": 360.0, "4": 420.0}
    assert starts([at_work, first, second], 2, 400.0) == {"2": 0.0, "3": 60.0}
    heard = replace(at_work, progress=replace(at_work.progress, left_s=5.0))
    assert starts([heard, first], 1, 400.0) == {"2": 5.0}
    assert starts([replace(at_work, estimate_s=0.0), first], 1, 400.0) == {}
