"""Campaigns that are taken up again by themselves after their provider failed; senders that go on more slowly after
their provider asked for a pause.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("runs", sa.Column("breaks", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column(
        "runs",
        sa.Column("resume_at", sa.DateTime(timezone=True), server_default=sa.text("'infinity'"), nullable=False),
    )
    op.add_column("budgets", sa.Column("slowed_to", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column(
        "budgets",
        sa.Column("slowed_at", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
    )
    op.create_index(
        "campaigns_broken",
        "campaigns",
        ["account_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'paused' AND status_reason = 'provider_unavailable'"),
    )


def downgrade() -> None:
    op.drop_index("campaigns_broken", table_name="campaigns")
    op.drop_column("budgets", "slowed_at")
    op.drop_column("budgets", "slowed_to")
    op.drop_column("runs", "resume_at")
    op.drop_column("runs", "breaks")
