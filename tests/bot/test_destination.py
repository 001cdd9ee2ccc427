"""Where a model will go is said, and made sure of, before anything is trained."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.settings import Settings
from bot.talk import destination
from bot.talk.commands import Plan
from bot.talk.context import Context
from bot.talk.runs import progress
from engine.database import Database
from engine.jobs import Target
from engine.refusal import Refusal
from tests.fakes.chat import FakeChat, Server
from tests.twins.hub import Twin, hub_twin

SFT = Plan("sft")
MINE, ACME = Target("local/mine"), Target("acme/mine")


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[Twin]:
    with hub_twin(tmp_path / "hub") as found:
        yield found


@pytest.fixture
def context(twin: Twin, tmp_path: Path) -> Iterator[Context]:
    chosen = Settings(
        _env_file=None,
        data=tmp_path / "data",
        cache=tmp_path / "cache",
        hf_endpoint=twin.url,
        hf_token=SecretStr(twin.token),
        hf_namespace="local",
    )
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    yield Context(chosen, database, FakeChat(Server()), lambda: 1_800_000_000.0)
    database.close()


def changed(context: Context, **settings: object) -> Context:
    return replace(context, settings=context.settings.model_copy(update=settings), known={})


def test_the_repo_is_named_by_data_method_and_day_and_private(context: Context) -> None:
    assert destination.target(context, SFT, "Facts (1).csv") == Target("local/facts-1-sft-2027-01-15", True)
    public = destination.target(changed(context, hf_private=False), SFT, "a.csv")
    assert public == Target("local/a-sft-2027-01-15", is_private=False)
    for stays in (
        destination.target(changed(context, hf_token=SecretStr("")), SFT, "a.csv"),
        destination.target(context, Plan("sft", push="off"), "a.csv"),
    ):
        assert stays == Target()


@pytest.mark.parametrize(("word", "repo"), [("mine", "local/mine"), ("acme/mine", "acme/mine")])
def test_a_repo_may_be_named_where_the_operator_lets_models_go(context: Context, word: str, repo: str) -> None:
    context = changed(context, hf_namespace="local, acme")
    assert destination.target(context, Plan("sft", repo=word), "a.csv") == Target(repo, is_exact=True)
    asked = Plan("sft", repo=word, push="pr")
    assert destination.target(context, asked, "a.csv") == Target(repo, is_exact=True, is_pull_request=True)


@pytest.mark.parametrize(("word", "says"), [("other/mine", "go to local here"), ("a/b/c", "namespace/name")])
def test_a_repo_elsewhere_is_refused(context: Context, word: str, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        destination.target(context, Plan("sft", repo=word), "a.csv")


async def test_a_good_token_is_asked_about_once(context: Context, twin: Twin) -> None:
    assert await destination.check(context, MINE) == ""
    assert await destination.check(context, MINE) == ""
    assert twin.count("whoami") == 1


async def test_a_token_that_may_not_push_is_said_before_anything_is_planned(context: Context) -> None:
    with pytest.raises(Refusal, match="make a new one"):
        await destination.check(changed(context, hf_token=SecretStr("hf_wrong")), MINE)
    with pytest.raises(Refusal, match="no member of acme"):
        await destination.check(context, ACME)


async def test_a_hub_that_is_away_is_a_doubt_and_no_refusal(context: Context, twin: Twin) -> None:
    twin.fail("whoami", 503, times=99)
    doubt = await destination.check(context, MINE)
    assert "trouble" in doubt and "begin all the same" in doubt
    assert context.known == {}


async def test_without_a_token_nobody_is_asked(context: Context, twin: Twin) -> None:
    assert await destination.check(changed(context, hf_token=SecretStr("")), Target()) == ""
    await progress.release_leftovers(changed(context, hf_token=SecretStr("")))
    assert twin.seen == []
