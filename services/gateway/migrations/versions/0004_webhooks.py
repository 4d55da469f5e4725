"""Webhooks: the endpoints, what is to be delivered to each, and the log of attempts.

`webhook_queues` has a row per endpoint, apart from the endpoint itself: workers lease it, and that should not wait for
somebody who edits the endpoint. `webhook_deliveries` holds only what is still to be delivered; what became of each
attempt is in `webhook_attempts`. Neither refers to the endpoint by a foreign key, so that an attempt which ends after
its endpoint was deleted is no error; what is left behind goes with the retention.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("event_types", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text()),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret", sa.LargeBinary()),
        sa.Column("old_secret_until", sa.DateTime(timezone=True)),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="webhooks_pkey"),
    )
    op.create_table(
        "webhook_queues",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("webhook_id", postgresql.UUID(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True)),
        sa.Column("holder", postgresql.UUID()),
        sa.Column("held_until", sa.DateTime(timezone=True), server_default=sa.text("'-infinity'"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "webhook_id", name="webhook_queues_pkey"),
    )
    op.create_index("webhook_queues_due", "webhook_queues", ["due_at"], postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_table(
        "webhook_deliveries",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("webhook_id", postgresql.UUID(), nullable=False),
        sa.Column("event_id", postgresql.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("objects", sa.LargeBinary(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("manual", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "webhook_id", "event_id", name="webhook_deliveries_pkey"),
    )
    op.create_index(
        "webhook_deliveries_fresh",
        "webhook_deliveries",
        ["account_id", "webhook_id", "position"],
        postgresql_where=sa.text("tries = 0 AND NOT manual"),
    )
    op.create_index(
        "webhook_deliveries_again",
        "webhook_deliveries",
        ["account_id", "webhook_id", "next_at"],
        postgresql_where=sa.text("tries > 0 OR manual"),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("webhook_id", postgresql.UUID(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("event_id", postgresql.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.Text()),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("account_id", "webhook_id", "id", name="webhook_attempts_pkey"),
    )
    op.create_index("webhook_attempts_started_at", "webhook_attempts", ["started_at"], postgresql_using="brin")
    migrations.protect(op, "webhooks", "webhook_queues", "webhook_deliveries", "webhook_attempts", service="gateway")
