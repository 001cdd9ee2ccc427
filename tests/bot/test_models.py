"""Which models somebody is told of."""

from dataclasses import replace

from bot.talk.commands import Models, parse
from bot.wording import models as words
from engine.jobs import JobSpec, Model, Result, Run, Source, Status


def test_models_is_a_word() -> None:
    assert parse("models") == Models()


def test_a_model_is_listed_by_where_it_is() -> None:
    spec = JobSpec("sft", Model("acme/base"), Source("a.csv", "0" * 64, {}), requester="U1")
    run = Run("7", spec, status=Status.succeeded, result=Result(repo="acme/tuned"))
    message = words.listing("k", [run, replace(run, result=Result())])
    assert message.table
    assert message.table.rows[0] == ("acme/tuned", "run 7", "sft on acme/base")
    assert message.table.rows[1][0] == "kept on the bot's server"
    assert words.listing("k", []).table is None
