"""Bring the database to the shape that this version expects; called at every start."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config

from engine.database import make_engine

LOCK = 0x7472756D
"""The number of the lock under which one of two bots that start at once migrates."""
MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database_url: str) -> None:
    """Apply the migrations that the database does not have yet."""
    _run(database_url, command.upgrade, "head")


def downgrade(database_url: str, revision: str) -> None:
    """Take migrations back down to `revision` (`base` for all); their tables go with what is in them."""
    _run(database_url, command.downgrade, revision)


def _run(database_url: str, step: Callable[[Config, str], None], revision: str) -> None:
    engine = make_engine(database_url)
    try:
        # One transaction over all of them: half a migration is worse than none.
        with engine.begin() as connection:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(MIGRATIONS))
            step(config, revision)
    finally:
        engine.dispose()
