"""The base model of a plan: named, made by a run of the team, or chosen by where it would train."""

from dataclasses import replace

import pytest

from bot.chat import Command, Incoming, Person, Place
from bot.settings import Settings
from bot.talk import bases
from bot.talk.bases import Basis
from bot.talk.commands import Models, Plan, parse
from bot.talk.context import Context
from bot.wording import models as words
from engine.executor import Slot
from engine.jobs import JobSpec, Model, Result, Run, Source, Status
from engine.refusal import Refusal
from tests.bot.test_ask import ANN, THREAD, context, knows

__all__ = ["context"]
SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "a" * 64, {}), requester=ANN.id)
DONE = Run("", SPEC, status=Status.succeeded, done="push", result=Result(repo="team/name"))


@pytest.mark.parametrize(
    ("text", "model"), [("base=7", "run-7"), ("base=#7", "run-7"), ("model=run-7", "run-7"), ("base=a/b", "a/b")]
)
def test_a_base_is_a_model_or_the_number_of_a_run(text: str, model: str) -> None:
    request = parse(f"dpo {text}")
    assert isinstance(request, Plan) and request.model == model


def test_model_and_base_are_one_word_too_many() -> None:
    with pytest.raises(Refusal, match="leave one out"):
        parse("dpo model=a/b base=7")


def by(person: Person, place: Place = THREAD) -> Incoming:
    return Incoming("k", place, person, Command(""))


async def test_a_run_is_found_by_its_number_and_by_its_repo(context: Context) -> None:
    number = await knows(context, DONE)
    folder = context.settings.runs / number
    folder.mkdir(parents=True)
    (folder / "spec.json").touch()
    for word in (f"run-{number}", number, "team/name", "Team/Name@main"):
        basis = await bases.of_plan(context, by(ANN), Plan("dpo", word))
        assert basis == Basis(str(folder.resolve()), str(folder.resolve()))


async def test_a_run_of_others_is_as_if_it_were_not_there(context: Context) -> None:
    number = await knows(context, DONE)
    with pytest.raises(Refusal, match=f"There is no run {number} whose model could be taken"):
        await bases.of_plan(context, by(Person("U2", "bob"), Place("C2/1")), Plan("dpo", f"run-{number}"))
    with pytest.raises(Refusal, match="There is no run 99"):
        await bases.of_plan(context, by(ANN), Plan("dpo", "run-99"))


async def test_a_run_without_a_model_or_without_its_folder_is_no_base(context: Context) -> None:
    failed = await knows(context, replace(DONE, status=Status.failed, done="fetch", result=Result()))
    with pytest.raises(Refusal, match="There is no run"):
        await bases.of_plan(context, by(ANN), Plan("dpo", f"run-{failed}"))
    forgotten = await knows(context, DONE)
    with pytest.raises(Refusal, match="no longer here"):
        await bases.of_plan(context, by(ANN), Plan("dpo", f"run-{forgotten}"))
    assert await bases.of_plan(context, by(ANN), Plan("dpo", "team/name")) == Basis("team/name")


async def test_a_folder_is_named_only_by_people_at_this_machine(context: Context) -> None:
    with pytest.raises(Refusal, match="named by its id on the Hub"):
        await bases.of_plan(context, by(ANN), Plan("sft", "/some/model"))
    local = replace(context, settings=Settings(_env_file=None, data=context.settings.data, people_are_local=True))
    assert await bases.of_plan(local, by(ANN), Plan("sft", "/some/model")) == Basis("/some/model", "/some/model")


async def test_where_none_is_named_it_is_the_operators_or_what_fits(context: Context) -> None:
    assert await bases.of_plan(context, by(ANN), Plan("sft")) == Basis()
    named = replace(context, settings=Settings(_env_file=None, data=context.settings.data, default_model="acme/base"))
    assert await bases.of_plan(named, by(ANN), Plan("sft")) == Basis("acme/base")
    assert await bases.of_plan(named, by(ANN), Plan("mlm")) == Basis()


def test_the_slot_is_the_smallest_that_a_run_may_get(context: Context) -> None:
    slots = [
        Slot("a", 1, 85.9, "local"), Slot("b", 1, 25.8, "local"), Slot("c", 8, 141.0, "ray"), Slot("d", 0, 16.0, "cpu"),
    ]  # fmt: skip
    here = replace(context, slots=lambda: slots)
    assert bases.slot(here, Plan("sft")) == "1x25.80"
    assert bases.slot(here, Plan("sft", where="ray")) == "1x141.00"
    assert bases.slot(here, Plan("sft", where="cpu")) == "0x16.00"
    assert bases.slot(context, Plan("sft")) == ""


def test_the_models_to_begin_with_are_a_table_of_those_that_are_allowed() -> None:
    assert parse("models base") == Models(are_bases=True)
    message = words.on_offer("k", "")
    assert message.table and message.table.rows[3][:3] == ("Qwen/Qwen3-0.6B", "596M", "apache-2.0")
    assert "Any other of the Hub" in message.text
    some = words.on_offer("k", "HuggingFaceTB/*")
    assert some.table and {row[0].split("/")[0] for row in some.table.rows} == {"embedded", "HuggingFaceTB"}
    assert "Others that are allowed here: HuggingFaceTB/*" in some.text
