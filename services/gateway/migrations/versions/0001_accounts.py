"""Accounts, API keys, outbox and idempotency keys.

A key is looked up by its hash before its account is known, when row-level security shows the serving role nothing.
`find_api_key` is the one gap in that wall, and as narrow as it gets: it runs as the tables' owner, answers for one
exact hash only, and returns no more than what authentication needs. A policy that let the role read every key would
let a faulty query list them all. It also notes the use of a key, at most once a minute, so that a busy key is no hot
row.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrations

revision = "0001"
down_revision = None

FIND_API_KEY = """
CREATE FUNCTION find_api_key(wanted bytea)
RETURNS TABLE (account_id uuid, id uuid, scopes text[], expires_at timestamptz)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH found AS (
        SELECT k.account_id, k.id, k.scopes, k.expires_at, k.last_used_at FROM public.api_keys AS k
        WHERE k.hash = wanted AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    ), used AS (
        UPDATE public.api_keys AS k SET last_used_at = now() FROM found
        WHERE k.account_id = found.account_id AND k.id = found.id
            AND (found.last_used_at IS NULL OR found.last_used_at < now() - interval '1 minute')
    )
    SELECT found.account_id, found.id, found.scopes, found.expires_at FROM found
$$
"""


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="accounts_name_length"),
        sa.PrimaryKeyConstraint("account_id", name="accounts_pkey"),
    )
    op.create_table(
        "api_keys",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("last_used_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("mode IN ('live', 'test')", name="api_keys_mode"),
        sa.CheckConstraint("octet_length(hash) = 32", name="api_keys_hash_length"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="api_keys_account", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("account_id", "id", name="api_keys_pkey"),
    )
    op.create_index("api_keys_hash", "api_keys", ["hash"])
    create_chassis_tables()
    migrations.grant_schema(op, service="gateway")
    migrations.protect(op, "accounts", "api_keys", "outbox", "idempotency_keys", service="gateway")
    op.execute(FIND_API_KEY)
    op.execute("REVOKE ALL ON FUNCTION find_api_key(bytea) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION find_api_key(bytea) TO gateway_serve, gateway_work")


def create_chassis_tables() -> None:
    op.create_table(
        "outbox",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("bulk", sa.Boolean(), nullable=False),
        sa.Column("traceparent", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True)),
        sa.PrimaryKeyConstraint("account_id", "id", name="outbox_pkey"),
    )
    op.create_index(
        "outbox_unpublished", "outbox", ["bulk", "created_at"], postgresql_where=sa.text("published_at IS NULL")
    )
    op.create_index("outbox_created_at", "outbox", ["created_at"], postgresql_using="brin")
    op.create_table(
        "idempotency_keys",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name="idempotency_keys_pkey"),
    )
    op.create_index("idempotency_keys_created_at", "idempotency_keys", ["created_at"], postgresql_using="brin")
