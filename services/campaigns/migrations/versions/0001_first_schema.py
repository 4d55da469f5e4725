"""The first schema of campaigns.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis.migrations import grant_schema, protect

revision = "0001"
down_revision = None

TABLES = (
    "budgets",
    "campaign_stats",
    "campaigns",
    "chunks",
    "exclusions",
    "idempotency_keys",
    "outbox",
    "provider_messages",
    "receipts",
    "recipients",
    "runs",
    "senders",
    "templates",
    "upload_rows",
)


def upgrade() -> None:
    grant_schema(op, service="campaigns")
    op.create_table(
        "budgets",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("owner_id", sa.UUID(), nullable=False),
        sa.Column("used_until", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "owner_id", name="budgets_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "campaign_stats",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("total", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("sent", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("pending", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("uncertain", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("opened", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("clicked", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "total = sent + pending + skipped + uncertain AND delivered + failed <= sent "
            "AND least(total, sent, delivered, failed, pending, skipped, uncertain, opened, clicked) >= 0",
            name="campaign_stats_add_up",
        ),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", name="campaign_stats_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "campaigns",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("template_id", sa.UUID(), nullable=False),
        sa.Column("sender_id", sa.UUID(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("segment_id", sa.UUID(), nullable=True),
        sa.Column("status", sa.Text(), server_default=sa.text("'draft'"), nullable=False),
        sa.Column("status_reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("schedule_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rate_limit_per_second", sa.Integer(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("started_body", sa.Text(), nullable=True),
        sa.Column("started_subject", sa.Text(), nullable=True),
        sa.Column("freezing", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="campaigns_pkey"),
    )
    op.create_index(
        "campaigns_deleted",
        "campaigns",
        ["account_id", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "campaigns_due",
        "campaigns",
        ["schedule_at"],
        unique=False,
        postgresql_where=sa.text("status = 'draft' AND status_reason = ''"),
    )
    op.create_index(
        "campaigns_running",
        "campaigns",
        ["account_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )
    op.create_index(
        "campaigns_unsettled",
        "campaigns",
        ["account_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'cancelled' AND NOT settled"),
    )
    op.create_index("campaigns_sender", "campaigns", ["account_id", "sender_id"], unique=False)
    op.create_index("campaigns_template", "campaigns", ["account_id", "template_id"], unique=False)
    op.create_table(
        "chunks",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("done", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.Column("lease_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("idle_passes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", "chunk", name="chunks_pkey"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "chunks_open",
        "chunks",
        ["account_id", "campaign_id", "chunk"],
        unique=False,
        postgresql_where=sa.text("NOT done"),
    )
    op.create_table(
        "exclusions",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", "contact_id", name="exclusions_pkey"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
    )
    op.create_index(
        "idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "outbox",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("bulk", sa.Boolean(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "id"),
    )
    op.create_index("outbox_created_at", "outbox", ["created_at"], unique=False, postgresql_using="brin")
    op.create_index(
        "outbox_unpublished",
        "outbox",
        ["bulk", "created_at"],
        unique=False,
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "provider_messages",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("sender_id", sa.UUID(), nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("recipient_id", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "sender_id", "provider_message_id", name="provider_messages_pkey"),
    )
    op.create_table(
        "receipts",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("sender_id", sa.UUID(), nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "sender_id", "provider_message_id", "status", name="receipts_pkey"),
    )
    op.create_index("receipts_due", "receipts", ["due_at"], unique=False)
    op.create_table(
        "recipients",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("chunk", sa.Integer(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("contact_id", sa.UUID(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("unanswered_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_message_id", sa.Text(), nullable=True),
        sa.Column("state_revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", "chunk", "id", name="recipients_pkey"),
        postgresql_with={"fillfactor": 60},
    )
    op.create_index("recipients_address", "recipients", ["account_id", "address", "campaign_id"], unique=True)
    op.create_index(
        "recipients_contact",
        "recipients",
        ["account_id", "contact_id", "campaign_id"],
        unique=True,
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index("recipients_id", "recipients", ["account_id", "id"], unique=True)
    op.create_table(
        "runs",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("campaign_id", sa.UUID(), nullable=False),
        sa.Column("freeze_lease_until", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.Column("freeze_generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed_rounds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("'epoch'"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "campaign_id", name="runs_pkey"),
    )
    op.create_table(
        "senders",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("receipts_secret", sa.LargeBinary(), nullable=False),
        sa.Column("receipts_digest", sa.LargeBinary(), nullable=False),
        sa.Column("rate_limit_per_second", sa.Integer(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="senders_pkey"),
    )
    op.create_index(
        "senders_default", "senders", ["account_id", "channel"], unique=True, postgresql_where=sa.text("is_default")
    )
    op.create_table(
        "templates",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("variables", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "id", name="templates_pkey"),
    )
    op.create_table(
        "upload_rows",
        sa.Column("account_id", sa.UUID(), nullable=False),
        sa.Column("upload_id", sa.UUID(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("row_number", sa.BigInteger(), nullable=False),
        sa.Column("recipient_id", sa.UUID(), nullable=False),
        sa.Column("variables", sa.Text(), nullable=False),
        sa.Column("suppressed", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "upload_id", "address", name="upload_rows_pkey"),
    )
    op.create_index("upload_rows_created_at", "upload_rows", ["created_at"], unique=False, postgresql_using="brin")
    protect(op, *TABLES, service="campaigns")


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
