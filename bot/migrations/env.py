"""Alembic's entry: it works on the connection that `bot.migrate` hands over, over the tables of both stores."""

from alembic import context

from bot import store as conversation
from engine import lease
from engine import store as work

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=[work.metadata, lease.metadata, conversation.metadata],
    render_as_batch=True,  # SQLite cannot alter a column in place
)
context.run_migrations()
