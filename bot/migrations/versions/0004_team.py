"""The audit, approvals, subscriptions; how long a draft would take; which runs belong to private places."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("at", sa.Float, nullable=False, index=True),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("what", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
    )
    op.create_table(
        "approvals",
        sa.Column("run", sa.Text, primary_key=True),
        sa.Column("hours", sa.Float, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("is_approved", sa.Boolean),
        sa.Column("at", sa.Float),
    )
    op.create_table(
        "subscriptions",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("what", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.add_column("drafts", sa.Column("hours", sa.Float, nullable=False, server_default="0"))
    op.add_column("watches", sa.Column("is_private", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    for table, column in (("drafts", "hours"), ("watches", "is_private")):
        with op.batch_alter_table(table) as batch:
            batch.drop_column(column)
    for table in ("subscriptions", "approvals", "audit"):
        op.drop_table(table)
