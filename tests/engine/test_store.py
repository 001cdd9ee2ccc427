"""What is stored comes back as it was."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine import store
from engine.database import make_engine
from engine.events import Event
from engine.executor import Handle
from engine.jobs import Answer, Attempt, JobSpec, Model, Progress, Result, Run, Source, Status, Target

SPEC = JobSpec(
    method="dpo",
    model=Model("some/model", "abc", "/somewhere"),
    train=Source("rows.csv", "a" * 64, {"prompt": "question"}, wants_unescape=True),
    valid=Source("valid.csv", "b" * 64, {}),
    parameters={"lora": True, "lr": 1e-3, "epochs": 3, "scheduler": "linear"},
    target=Target("team/name"),
    requester="U1",
    group="G1",
)


@pytest.fixture
def db(any_url: str) -> Iterator[Connection]:
    engine = make_engine(any_url)
    with engine.begin() as connection:
        store.metadata.create_all(connection)
        yield connection
    engine.dispose()


def queue(db: Connection, count: int) -> list[Run]:
    return [store.queue_run(db, SPEC, float(number)) for number in range(count)]


def test_an_upload_comes_back(db: Connection) -> None:
    store.add_upload(db, "a" * 64, "rows.csv", 12, {"rows": 3, "columns": ["é"]}, 5.0)
    assert store.upload(db, "a" * 64) == store.StoredUpload(
        "a" * 64, "rows.csv", 12, {"rows": 3, "columns": ["é"]}, 5.0
    )
    assert store.upload(db, "b" * 64) is None


def test_the_same_bytes_again_take_the_latest_name(db: Connection) -> None:
    store.add_upload(db, "a" * 64, "rows.csv", 12, {}, 5.0)
    store.add_upload(db, "a" * 64, "better.csv", 12, {}, 6.0)
    known = store.upload(db, "a" * 64)
    assert known and known.name == "better.csv"


def test_a_run_with_everything_in_it_comes_back(db: Connection) -> None:
    full = replace(
        store.queue_run(db, SPEC, 1.0),
        status=Status.pushing,
        attempt="push-1",
        cursor=7,
        progress=Progress("pushing", 3, 3, 0.5, (1.0, 0.5), 1e-3, 99.0, 2.0, 1, 2, ("a notice",)),
        result=Result({"eval_loss": 0.5}, (Answer("p", "b", "t"),), True, "team/name", files={"a": "b"}),
        cancel="save",
    )
    store.save_run(db, full)
    assert store.run(db, full.id) == full


def test_runs_get_small_numbers_and_none_twice(db: Connection) -> None:
    first, second = queue(db, 2)
    assert (first.id, second.id) == ("1", "2")
    db.execute(store.runs.delete())
    assert queue(db, 1)[0].id == "3"


@pytest.mark.parametrize("typed", ["", "abc", "-1", "1.0", "²", "9" * 30, "1; DROP TABLE runs"])
def test_what_is_no_run_id_finds_nothing(db: Connection, typed: str) -> None:
    queue(db, 1)
    assert store.run(db, typed) is None
    assert store.position(db, typed) == 0
    assert not store.ask_cancel(db, typed, save=False)


def test_open_runs_come_in_queue_order_and_recent_ones_newest_first(db: Connection) -> None:
    first, second, third = queue(db, 3)
    store.save_run(db, replace(second, status=Status.failed))
    assert store.open_runs(db) == [first, third]
    assert [run.id for run in store.recent_runs(db, 2)] == [third.id, second.id]


def test_the_position_counts_only_those_who_wait(db: Connection) -> None:
    first, second, third = queue(db, 3)
    assert [store.position(db, run.id) for run in (first, second, third)] == [1, 2, 3]
    store.save_run(db, replace(first, status=Status.running))
    assert [store.position(db, run.id) for run in (first, second, third)] == [0, 1, 2]


def test_asking_to_cancel_is_noted_once_and_drop_stays_drop(db: Connection) -> None:
    (run,) = queue(db, 1)
    wishes = []
    for save in (True, False, True):
        assert store.ask_cancel(db, run.id, save)
        known = store.run(db, run.id)
        wishes.append(known.cancel if known else None)
    assert wishes == ["save", "drop", "drop"]


def test_a_run_that_is_over_cannot_be_cancelled(db: Connection) -> None:
    (run,) = queue(db, 1)
    store.save_run(db, replace(run, status=Status.succeeded))
    assert not store.ask_cancel(db, run.id, save=True)


def test_an_attempt_is_stored_with_its_handle_until_it_ends(db: Connection) -> None:
    (run,) = queue(db, 1)
    attempt = Attempt(run.id, "train", 1, Path("/runs/1"))
    store.add_attempt(db, attempt, Handle("local", "1/attempts/train-1"), 3.0)
    (tried,) = store.attempts(db, run.id)
    assert tried == store.Tried(run.id, "train", 1, Handle("local", "1/attempts/train-1"), 3.0, None)
    assert store.open_attempts(db) == [tried]
    store.end_attempt(db, tried, 4.0)
    assert store.open_attempts(db) == []
    assert store.attempts(db, run.id) == [replace(tried, ended_at=4.0)]


def test_an_attempt_of_the_same_number_is_refused_by_the_database(db: Connection) -> None:
    (run,) = queue(db, 1)
    attempt = Attempt(run.id, "train", 1, Path("/runs/1"))
    store.add_attempt(db, attempt, Handle("local", "x"), 3.0)
    with pytest.raises(IntegrityError):
        store.add_attempt(db, attempt, Handle("local", "y"), 3.0)


def test_an_attempt_of_no_run_is_refused_by_the_database(db: Connection) -> None:
    with pytest.raises(IntegrityError):
        store.add_attempt(db, Attempt("404", "train", 1, Path("/runs/404")), Handle("local", "x"), 3.0)


def test_events_are_stored_once_and_the_new_ones_are_told(db: Connection) -> None:
    (run,) = queue(db, 1)
    events = [Event(run.id, "train-1", seq, 1.0, "step", {"loss": float("inf")}) for seq in (1, 2, 3)]
    assert store.add_events(db, run.id, events[:2]) == events[:2]
    assert store.add_events(db, run.id, events) == events[2:]
    assert store.add_events(db, run.id, [events[0], events[0]]) == []
    assert store.events(db, run.id, "train-1") == events
    assert store.events(db, run.id, "train-2") == []
