"""The migrations and the tables in the code are the same."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, inspect

from bot import migrate
from bot import store as conversation
from engine import lease
from engine import store as work
from engine.database import make_engine
from engine.jobs import JobSpec, Model, Source
from engine.work.asking import questions

SPEC = JobSpec("sft", Model("some/model"), Source("rows.csv", "0" * 64, {"text": "text"}))


def url_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'threadtune.db'}"


def all_tables() -> MetaData:
    assert questions.questions.metadata is work.metadata
    both = MetaData()
    for table in (
        *work.metadata.tables.values(),
        *lease.metadata.tables.values(),
        *conversation.metadata.tables.values(),
    ):
        table.to_metadata(both)
    return both


def test_the_migrations_make_the_tables_of_both_stores(tmp_path: Path) -> None:
    migrate.upgrade(url_in(tmp_path))
    engine = make_engine(url_in(tmp_path))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, all_tables()) == []
    engine.dispose()


def test_the_migrations_go_down_and_up_again_with_rows_in_the_tables(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    migrate.upgrade(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        work.queue_run(connection, SPEC, 1.0)
    migrate.downgrade(url, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(url)
    with engine.begin() as connection:
        assert work.open_runs(connection) == []
    engine.dispose()


def test_a_second_upgrade_changes_nothing(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    migrate.upgrade(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        queued = work.queue_run(connection, SPEC, 1.0)
    migrate.upgrade(url)
    with engine.begin() as connection:
        assert work.open_runs(connection) == [queued]
    engine.dispose()
