"""Who may start runs, and who may end those of others: by person or by group, asked at each step."""

from pathlib import Path

import pytest

from bot.chat import Person
from bot.settings import Settings
from bot.talk.access import check_may_end, check_may_start
from bot.talk.context import Context
from engine.database import Database
from engine.jobs import JobSpec, Model, Run, Source
from engine.refusal import Refusal
from tests.fakes.chat import FakeChat, Server

ANN, BOB = Person("U1", "ann"), Person("U2", "bob")
ANNS = Run("7", JobSpec("sft", Model("org/base"), Source("a.csv", "0" * 64, {}), requester=ANN.id))


def context(tmp_path: Path, **settings: str) -> Context:
    """Everybody on the fake chat is in the group `everyone`."""
    chosen = Settings(_env_file=None, data=tmp_path).model_copy(update=settings)
    return Context(chosen, Database("sqlite://"), FakeChat(Server()))


@pytest.mark.parametrize("names", ["", "U1", "U9, U1", "everyone"])
async def test_people_and_groups_that_are_named_may_start(tmp_path: Path, names: str) -> None:
    await check_may_start(context(tmp_path, may_start=names), ANN)


@pytest.mark.parametrize("names", ["U9", "trainers, U9"])
async def test_others_may_not_and_are_told_which_setting_decides(tmp_path: Path, names: str) -> None:
    with pytest.raises(Refusal, match="MAY_START"):
        await check_may_start(context(tmp_path, may_start=names), ANN)


async def test_a_run_can_always_be_ended_by_who_started_it(tmp_path: Path) -> None:
    strict = context(tmp_path, may_end_others="U9")
    await check_may_end(strict, ANN, ANNS)
    with pytest.raises(Refusal, match="MAY_END_OTHERS"):
        await check_may_end(strict, BOB, ANNS)
    await check_may_end(context(tmp_path), BOB, ANNS)
