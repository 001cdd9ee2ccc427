"""Who may do what: role by role, step by step, place by place, as a table that is asked in full."""

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.chat import Command, Incoming, Person, Place
from bot.settings import Settings
from bot.talk.context import Context
from bot.team import access
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source
from engine.refusal import Refusal
from tests.fakes.chat import FakeChat, Server

ANN, BOB, EVE = Person("U1", "ann"), Person("U2", "bob"), Person("U3", "eve", is_guest=True)
CAT, DAN = Person("U4", "cat"), Person("U5", "dan")
HERE, ELSEWHERE, DIRECT = Place("T1/C1/1"), Place("T1/C9/1"), Place("T1/D1")
GROUPS = {CAT.id: frozenset({"trainers"}), DAN.id: frozenset({"admins"})}


def spec(requester: Person) -> JobSpec:
    return JobSpec("sft", Model("org/base"), Source("a.csv", "0" * 64, {}), requester=requester.id)


ANNS = Run("7", spec(ANN))


def context(tmp_path: Path, **settings: str | bool) -> Context:
    """Everybody on the fake chat is in the group `everyone`, cat in `trainers`, dan in `admins`."""
    chosen = Settings(_env_file=None, data=tmp_path).model_copy(update=settings)
    return Context(chosen, Database("sqlite://"), FakeChat(Server(groups=GROUPS)))


async def may(step: Awaitable[None]) -> bool:
    try:
        await step
    except Refusal:
        return False
    return True


@pytest.mark.parametrize("names", ["", "U1", "U9, U1", "everyone"])
async def test_people_and_groups_that_are_named_may_start(tmp_path: Path, names: str) -> None:
    await access.check_may_start(context(tmp_path, may_start=names), ANN)


@pytest.mark.parametrize("names", ["U9", "trainers, U9"])
async def test_others_may_not_and_are_told_which_setting_decides(tmp_path: Path, names: str) -> None:
    with pytest.raises(Refusal, match="MAY_START"):
        await access.check_may_start(context(tmp_path, may_start=names), ANN)


async def test_a_run_is_ended_by_who_started_it_an_admin_or_whom_the_setting_names(tmp_path: Path) -> None:
    fresh = context(tmp_path, admins="admins")
    await access.check_may_end(fresh, ANN, ANNS)
    await access.check_may_end(fresh, DAN, ANNS)
    with pytest.raises(Refusal, match="an admin"):
        await access.check_may_end(fresh, BOB, ANNS)
    await access.check_may_end(context(tmp_path, may_end_others="U2"), BOB, ANNS)


async def test_whoever_sits_at_the_machine_is_its_admin(tmp_path: Path) -> None:
    local = context(tmp_path, people_are_local=True)
    assert await access.is_admin(local, ANN)
    await access.check_may_end(local, BOB, ANNS)


async def test_nobody_approves_their_own_run_not_even_an_admin(tmp_path: Path) -> None:
    chosen = context(tmp_path, admins="U1,U5")
    with pytest.raises(Refusal, match="second person"):
        await access.check_may_approve(chosen, ANN, ANNS)
    await access.check_may_approve(chosen, DAN, ANNS)


PEOPLE = {"member": BOB, "owner": ANN, "trainer": CAT, "admin": DAN, "guest": EVE}
PLACES = {"here": HERE, "elsewhere": ELSEWHERE, "direct": DIRECT}
RULES = {
    "fresh": {"admins": "admins"},
    "narrow": {"admins": "admins", "may_start": "trainers", "channels": "C1", "approvers": "trainers"},
}
STEPS: dict[str, Callable[[Context, Person], Awaitable[None]]] = {
    "start": access.check_may_start,
    "end another's": lambda context, person: access.check_may_end(context, person, ANNS),
    "approve": lambda context, person: access.check_may_approve(context, person, ANNS),
    "audit": access.check_is_admin,
}
ALLOWED = {
    ("fresh", "start"): {"member", "owner", "trainer", "admin"},
    ("fresh", "end another's"): {"owner", "admin"},
    ("fresh", "approve"): {"admin"},
    ("fresh", "audit"): {"admin"},
    ("narrow", "start"): {"trainer", "admin"},
    ("narrow", "end another's"): {"owner", "admin"},
    ("narrow", "approve"): {"trainer", "admin"},
    ("narrow", "audit"): {"admin"},
}
"""Who may, by rule and step; everybody else, and every guest, may not."""
CASES = list(itertools.product(RULES, STEPS, PEOPLE, PLACES))


@pytest.mark.parametrize(("rule", "step", "who", "where"), CASES)
async def test_nobody_may_more_than_the_table_says(tmp_path: Path, rule: str, step: str, who: str, where: str) -> None:
    chosen = context(tmp_path, **RULES[rule])
    person, place = PEOPLE[who], PLACES[where]
    talks = await may(access.check_may_talk(chosen, Incoming("k", place, person, Command("help"))))
    assert talks == (who != "guest" and (rule == "fresh" or where == "here"))
    allowed = talks and await may(STEPS[step](chosen, person))
    assert allowed == (talks and who in ALLOWED[rule, step])
