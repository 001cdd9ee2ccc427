"""When runs are to start, and each time that came; an index of the letters that are not sent yet."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


UNSENT = sa.text("sent_version < version AND gone IS NULL")


def upgrade() -> None:
    op.create_index("outbox_unsent", "outbox", ["seq"], sqlite_where=UNSENT, postgresql_where=UNSENT)
    op.create_table(
        "schedules",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("run", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("is_private", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(8), nullable=False, index=True),
        sa.Column("next_at", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "fires",
        sa.Column("schedule", sa.Integer, sa.ForeignKey("schedules.id"), primary_key=True),
        sa.Column("at", sa.Float, primary_key=True),
        sa.Column("run", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_index("outbox_unsent", "outbox")
    op.drop_table("fires")
    op.drop_table("schedules")
