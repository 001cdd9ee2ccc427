"""A team's matters from the outside: quotas, approval, audit, notices, the week, and forgetting."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import engine.store
from bot import store
from bot.chat import Command, Person, Place, Press
from bot.store import ThreadFile
from bot.team import notices, retention
from engine.executor import Handle
from engine.jobs import Attempt, Result, Status
from tests.bot.team.room import ANN, BOB, DAN, EVE, PRIVATE, START, TEAM, THREAD, Room, room

Make = Callable[..., Room]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Room] = []

    def make(**settings: object) -> Room:
        made.append(room(tmp_path / str(len(made)), **settings))
        return made[-1]

    yield make
    for each in made:
        each.context.database.close()


# ---- who is let in


async def test_a_guest_gets_one_private_refusal_a_minute_and_nothing_is_done(make: Make) -> None:
    here = make()
    for words in ("list", "help", "example dpo"):
        assert await here.does(EVE, Command(words)) is None
    (key,) = await here.keys(THREAD)
    refusal = await here.said(key)
    assert refusal and refusal.only_for == EVE and "full members only" in refusal.text
    here.now[0] += 61
    await here.does(EVE, Press(f"start:{await here.draft()}"))
    assert len([key for key in await here.keys(THREAD) if key.startswith("turned-away/")]) == 2
    assert await here.context.database.read(engine.store.run, "1") is None


# ---- quotas and approval


async def test_one_person_may_have_one_run_at_work_and_three_in_the_queue(make: Make) -> None:
    here = make()
    for _ in range(4):
        assert await here.starts() is None
    fifth = await here.starts()
    assert fifth and "You have 4 runs that are not over" in fifth.text
    assert [button.label for button in fifth.buttons] == ["Ask for approval"]
    assert await here.starts(BOB) is None, "another person's runs do not count"


async def test_one_channel_may_have_so_many_runs_at_work_and_in_the_queue_whoever_starts_them(make: Make) -> None:
    here = make(max_running_channel=1, max_queued_channel=1, max_running=2)
    assert await here.starts() is None
    assert await here.starts(BOB, place=Place("C1/2")) is None
    third = await here.starts(Person("U7", "fay"), place=Place("C1/3"))
    assert third and "This channel has 2 runs that are not over" in third.text
    assert "MAX_RUNNING_CHANNEL, MAX_QUEUED_CHANNEL" in third.text
    assert [button.label for button in third.buttons] == ["Ask for approval"]
    assert await here.starts(place=Place("C2/1")) is None, "another channel's runs do not count"


async def test_the_queue_says_which_run_waits_for_its_channel_and_which_for_its_person(make: Make) -> None:
    here = make(max_running_channel=1, max_running=1)
    await here.starts()
    await here.change(replace(await here.run(), status=Status.running))
    await here.starts(BOB)
    await here.starts(place=Place("C2/1"))
    await here.starts(BOB, place=Place("C3/1"))
    listed = (await here.says("queue", DAN)).table
    assert listed and sorted(row[1:2] + row[3:] for row in listed.rows) == [
        ("queued", "not known yet"),
        ("queued", "waits for another run of its channel"),
        ("queued", "waits for another run of the same person"),
        ("running", ""),
    ]
    assert await here.starts(DAN) is None


async def test_a_day_has_only_so_many_runs(make: Make) -> None:
    here = make(max_runs_a_day=1)
    assert await here.starts() is None
    second = await here.starts()
    assert second and "MAX_RUNS_A_DAY" in second.text
    here.now[0] += 86_401
    assert await here.starts() is None


async def test_a_month_has_only_so_many_hours(make: Make) -> None:
    here = make(max_gpu_hours_a_month=3, max_queued=0)
    assert await here.starts(hours=2) is None
    attempt = Attempt("1", "train", 1, here.context.settings.runs / "1")
    await here.context.database.write(engine.store.add_attempt, attempt, Handle("local", "a"), START)
    here.now[0] = START + 2 * 3600
    over = await here.starts(hours=1.5)
    assert over and "have trained for 2.0 h this month and this one would take about 1.5 h" in over.text
    assert await here.starts(hours=0.5) is None
    here.now[0] = START + 20 * 86_400
    (tried,) = await here.context.database.read(engine.store.attempts, "1")
    await here.context.database.write(engine.store.end_attempt, tried, START + 7200)
    assert await here.starts(hours=2.5) is None, "the next month begins anew"


async def test_a_costly_run_waits_for_a_second_person_who_approves_it(make: Make) -> None:
    here = make(approve_above_hours=4)
    draft = await here.draft(hours=9)
    refused = await here.does(ANN, Press(f"start:{draft}"))
    assert refused and "about 9.0 h; above 4 h a second person approves" in refused.text
    assert refused.text.endswith("dan can approve it.") and not refused.mentions
    (ask,) = refused.buttons
    assert await here.does(ANN, Press(ask.action)) is None
    assert (await here.run()).status is Status.waiting
    request = await here.said("run/1/approval/C1/1")
    assert request and [button.label for button in request.buttons] == ["Approve", "Decline"]
    assert "dan can approve it; nobody approves their own." in request.text and not request.mentions
    assert await here.keys(TEAM) == ["run/1/approval/C0"]
    for person, why in ((ANN, "Approving is for admins"), (BOB, "Approving is for admins")):
        refusal = await here.does(person, Press("approve:1"))
        assert refusal and why in refusal.text
    assert (await here.run()).status is Status.waiting
    assert await here.does(DAN, Press("approve:1"), TEAM) is None
    run = await here.run()
    assert run.status is Status.queued and run.spec.requester == ANN.id and not run.reason
    request = await here.said("run/1/approval/C1/1")
    assert request and request.title == "Approved by dan" and not request.buttons
    told = await here.said("run/1/approved")
    assert told and told.mentions == (ANN,)
    late = await here.does(DAN, Press("decline:1"))
    assert late and "answered already" in late.text
    assert (await here.run()).status is Status.queued


async def test_what_is_over_says_who_can_approve_it_by_name_and_never_oneself(make: Make) -> None:
    here = make(approve_above_hours=1, approvers="U2,trainers,U9", admins="U5,U1")
    refused = await here.starts(hours=2)
    assert refused and refused.text.endswith("U9, bob, dan and trainers can approve it.")
    here = make(approve_above_hours=1, admins="")
    refused = await here.starts(hours=2)
    assert refused and "Nobody is named who could approve it: ADMINS and APPROVERS" in refused.text
    here = make(approve_above_hours=1, admins="1,2,3,4,5,6,7,8")
    refused = await here.starts(hours=2)
    assert refused and refused.text.endswith("1, 2, 3, 4, 5 and 3 more can approve it.")


async def test_a_retry_over_the_quota_carries_the_button_too_and_keeps_what_it_is_of(make: Make) -> None:
    here = make(max_runs_a_day=1)
    await here.starts()
    await here.change(replace(await here.run(), status=Status.failed, reason="It failed."))
    refused = await here.says("retry 1 epochs=2")
    assert "MAX_RUNS_A_DAY" in refused.text and refused.text.endswith("dan can approve it.")
    (ask,) = refused.buttons
    assert await here.does(ANN, Press(ask.action)) is None
    waiting = await here.run(2)
    assert (waiting.status, waiting.of, waiting.spec.parameters["epochs"]) == (Status.waiting, "1", 2)
    assert (await here.does(ANN, Press(ask.action))) is not None, "the same button asks once"
    await here.does(DAN, Press("approve:2"))
    assert (await here.run(2)).status is Status.queued


async def test_an_admin_cannot_approve_what_they_asked_for_and_a_declined_run_is_over(make: Make) -> None:
    here = make(approve_above_hours=1, approvers=BOB.id)
    draft = await here.draft(hours=2)
    refused = await here.does(DAN, Press(f"start:{draft}"))
    assert refused
    await here.does(DAN, Press(refused.buttons[0].action))
    own = await here.does(DAN, Press("approve:1"))
    assert own and "second person" in own.text
    await here.does(BOB, Press("decline:1"))
    run = await here.run()
    assert (run.status, run.reason) == (Status.cancelled, "Declined by bob.")
    await here.tells()
    final = await here.said("run/1/final")
    assert final and final.mentions == (DAN,)


async def test_a_request_from_a_private_place_is_not_read_elsewhere(make: Make) -> None:
    here = make(approve_above_hours=1)
    draft = await here.draft(hours=2, place=PRIVATE)
    await here.does(ANN, Press(f"approval:{draft}"), PRIVATE)
    assert await here.keys(TEAM) == []
    assert "run/1/approval/G1/1" in await here.keys(PRIVATE)


# ---- ending, and who knows of it


async def test_a_member_cannot_end_anothers_run_and_an_admin_can(make: Make) -> None:
    here = make()
    await here.starts()
    assert "somebody else's" in (await here.says("cancel 1", BOB)).text
    assert "I am ending it" in (await here.says("cancel 1", DAN)).text
    assert (await here.run()).cancel == "drop"


async def test_private_places_runs_are_known_there_and_to_who_asked_and_nowhere_else(make: Make) -> None:
    here = make()
    await here.starts(place=PRIVATE)
    await here.change(replace(await here.run(), status=Status.succeeded))
    assert "no run 1" in (await here.says("status 1", BOB, TEAM)).text
    assert "no run 1" in (await here.says("status 1", BOB)).text
    assert (await here.says("status 1", BOB, PRIVATE)).table
    assert (await here.says("status 1", ANN)).table
    await here.does(DAN, Command("notify all"))
    await here.tells()
    assert "run/1/final" in await here.keys(PRIVATE)
    assert [key for key in await here.keys(TEAM) if key.startswith("run/")] == []
    assert await here.keys(Place("@U5")) == []


async def test_a_file_of_a_private_place_is_no_file_elsewhere(make: Make) -> None:
    here = make()
    await here.context.database.write(store.add_file, PRIVATE, ThreadFile("a" * 64, "secret.csv"), START)
    assert "Files here: none yet" in (await here.says("forget secret.csv")).text


# ---- audit


async def test_the_audit_has_each_deed_and_each_refusal_and_is_for_admins(make: Make) -> None:
    here = make()
    await here.starts()
    await here.says("cancel 1", BOB)
    await here.says("list", BOB)
    await here.says("cancel 1")
    assert "for admins" in (await here.says("audit")).text
    shown = await here.says("audit", DAN)
    assert shown.only_for == DAN and shown.table
    rows = [(who, what, to, where, how) for _, who, what, to, where, how in shown.table.rows]
    assert rows[0] == ("ann", "cancel", "1", "C1/1", "done")
    assert rows[1][:4] == ("bob", "cancel", "1", "C1/1") and rows[1][4].startswith("refused: Run 1 is somebody")
    assert rows[2][1] == "start" and rows[2][4] == "Run 1, started by ann"
    assert len(rows) == 3, "what only reads leaves no row"


async def test_what_is_delivered_again_leaves_one_row(make: Make) -> None:
    here = make()
    await here.starts()
    here.count = iter(range(50, 60))
    await here.says("cancel 1")
    here.count = iter(range(50, 60))
    await here.says("cancel 1")
    assert len(await here.context.database.read(store.latest_deeds, 10)) == 2


# ---- notices


async def test_people_hear_of_the_runs_that_they_asked_to_hear_of(make: Make) -> None:
    here = make()
    await here.starts()
    await here.starts(BOB)
    assert "run 1" in (await here.says("notify 1", BOB)).text
    assert "every run" in (await here.says("notify all", DAN)).text
    for number in (1, 2):
        await here.change(replace(await here.run(number), status=Status.failed, reason="It failed."))
    await here.tells()
    assert await here.keys(Place("@U2")) == ["run/1/card/U2"]
    assert await here.keys(Place("@U5")) == ["run/1/card/U5", "run/2/card/U5"]
    assert [key for key in await here.keys(TEAM) if key.startswith("run/")] == ["run/1/card", "run/2/card"]
    assert "no runs but your own" in (await here.says("notify off", DAN)).text


async def test_on_mondays_the_team_gets_one_digest_without_what_is_private(make: Make) -> None:
    here = make()
    await here.starts()
    await here.starts(place=PRIVATE)
    for number in (1, 2):
        result = Result(repo=f"team/model-{number}")
        await here.change(replace(await here.run(number), status=Status.succeeded, ended_at=START, result=result))
    here.now[0] = START + 3 * 86_400
    await notices.digest(here.context)
    assert await here.keys(TEAM) == [], "it is Thursday"
    here.now[0] = START + 6.9 * 86_400
    await notices.digest(here.context)
    await notices.digest(here.context)
    (key,) = await here.keys(TEAM)
    digest = await here.said(key)
    assert digest and digest.table and digest.is_silent
    assert [row[0] for row in digest.table.rows] == ["1"] and "model-2" not in str(digest)
    assert "2 runs ended" in digest.text and "1 of them was private" in digest.text


# ---- forgetting


async def test_a_run_is_forgotten_with_everything_that_it_left_here(make: Make) -> None:
    here = make()
    await here.starts()
    folder = here.context.settings.runs / "1" / "checkpoints"
    folder.mkdir(parents=True)
    assert "not over" in (await here.says("forget 1")).text
    await here.change(replace(await here.run(), status=Status.succeeded, result=Result(repo="team/model")))
    assert "somebody else's" in (await here.says("forget 1", BOB)).text
    assert "team/model, stays" in (await here.says("forget 1")).text
    assert not folder.parent.exists()


async def test_a_file_is_forgotten_once_no_thread_and_no_open_run_holds_it(make: Make) -> None:
    here = make()
    home = here.context.settings.uploads / ("0" * 64)
    home.mkdir(parents=True)
    for place in (THREAD, PRIVATE):
        await here.context.database.write(store.add_file, place, ThreadFile("0" * 64, "a.csv"), START)
    await here.starts()
    assert "Run 1 needs a.csv" in (await here.says("forget a.csv")).text
    await here.change(replace(await here.run(), status=Status.failed))
    assert "Another thread holds" in (await here.says("forget a.csv")).text
    assert home.exists()
    assert "deleted from this server" in (await here.says("forget a.csv", place=PRIVATE)).text
    assert not home.exists()


async def test_what_is_older_than_it_may_be_is_deleted_and_its_thread_is_told(make: Make) -> None:
    here = make(keep_datasets_days=30, keep_outputs_days=60)
    context = here.context
    for name in ("0" * 64, "1" * 64):
        (context.settings.uploads / name).mkdir(parents=True)
        await context.database.write(engine.store.add_upload, name, "a.csv", 1, {}, START)
        await context.database.write(store.add_file, THREAD, ThreadFile(name, "a.csv"), START)
    await here.starts()
    here.now[0] = START + 31 * 86_400
    await retention.tick(context)
    assert [path.name for path in context.settings.uploads.iterdir()] == ["0" * 64], "run 1 needs the other one"
    told = await here.said(f"lapsed/C1/1/{'1' * 16}")
    assert told and "a.csv was kept" in told.text
    (context.settings.runs / "1").mkdir(parents=True)
    await here.change(replace(await here.run(), status=Status.succeeded, ended_at=START + 86_400))
    here.now[0] = START + 62 * 86_400
    await retention.tick(context)
    assert not (context.settings.runs / "1").exists() and not list(context.settings.uploads.iterdir())
    assert await here.said("lapsed/run/1")
