"""Audiences of lists, of contacts and of segments less other segments; what an audience made of everybody it named;
when campaigns may start and send.

Revision ID: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis.migrations import protect

revision = "0002"
down_revision = "0001"

TABLES = ("excluded_addresses", "quiet_hours", "upload_funnels")


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("list_id", sa.UUID(), nullable=True))
    op.add_column("campaigns", sa.Column("contact_ids", postgresql.ARRAY(sa.UUID()), nullable=True))
    op.add_column(
        "campaigns",
        sa.Column(
            "exclude_segment_ids", postgresql.ARRAY(sa.UUID()), server_default=sa.text("'{}'::uuid[]"), nullable=False
        ),
    )
    op.add_column(
        "campaigns",
        sa.Column("schedule_max_late_seconds", sa.Integer(), server_default=sa.text("3600"), nullable=False),
    )
    op.add_column("campaigns", sa.Column("sending_windows", sa.Text(), nullable=True))
    op.add_column("recipients", sa.Column("timezone", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("upload_rows", sa.Column("timezone", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "quiet_hours",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("start_minute", sa.Integer(), nullable=False),
        sa.Column("end_minute", sa.Integer(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="quiet_hours_pkey"),
    )
    op.add_column("campaigns", sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE campaigns SET frozen_at = started_at WHERE NOT freezing AND status <> 'cancelled'")
    op.create_check_constraint(
        "campaigns_one_audience", "campaigns", "num_nonnulls(segment_id, list_id, contact_ids) <= 1"
    )
    op.create_table(
        "excluded_addresses",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "address", "campaign_id", name="excluded_addresses_pkey"),
    )
    op.create_index("excluded_addresses_campaign", "excluded_addresses", ["account_id", "campaign_id"], unique=False)
    op.create_table(
        "upload_funnels",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("excluded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("no_address", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("invalid", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("opted_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("do_not_contact", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicate", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", name="upload_funnels_pkey"),
    )
    op.add_column("upload_rows", sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False))
    protect(op, *TABLES, service="campaigns")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_column("recipients", "timezone")
    for column in ("reason", "timezone"):
        op.drop_column("upload_rows", column)
    op.drop_constraint("campaigns_one_audience", "campaigns")
    for column in (
        "list_id",
        "contact_ids",
        "exclude_segment_ids",
        "schedule_max_late_seconds",
        "sending_windows",
        "frozen_at",
    ):
        op.drop_column("campaigns", column)
