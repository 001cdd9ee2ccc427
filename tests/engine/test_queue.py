"""People take turns."""

from dataclasses import replace

from engine.jobs import JobSpec, Model, Run, Source, Status
from engine.store import turns

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
