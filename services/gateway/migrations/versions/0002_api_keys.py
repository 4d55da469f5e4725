"""What keys may ask for, who made and ended them, and how much they are used.

`rate_budgets` is unlogged: it changes many times a second, holds nothing older than a second that matters, and
begins anew after a crash. `find_api_key` answers two columns more; code of 0001 asks for those that it knows.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrations

revision = "0002"
down_revision = "0001"

FIND_API_KEY = """
CREATE FUNCTION find_api_key(wanted bytea)
RETURNS TABLE (account_id uuid, id uuid, scopes text[], expires_at timestamptz, mode text, rate_limit_per_second int)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp
AS $$
    WITH found AS (
        SELECT k.account_id, k.id, k.scopes, k.expires_at, k.mode, k.rate_limit_per_second, k.last_used_at
        FROM public.api_keys AS k
        WHERE k.hash = wanted AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > now())
    ), used AS (
        UPDATE public.api_keys AS k SET last_used_at = now() FROM found
        WHERE k.account_id = found.account_id AND k.id = found.id
            AND (found.last_used_at IS NULL OR found.last_used_at < now() - interval '1 minute')
    )
    SELECT found.account_id, found.id, found.scopes, found.expires_at, found.mode, found.rate_limit_per_second
    FROM found
$$
"""
TABLES = ("rate_budgets", "api_key_uses", "api_key_changes")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("rate_limit_per_second", sa.Integer()))
    op.add_column("api_keys", sa.Column("replaces", postgresql.UUID()))
    op.create_check_constraint("api_keys_rate_limit", "api_keys", "rate_limit_per_second BETWEEN 1 AND 100000")
    op.execute("DROP FUNCTION find_api_key(bytea)")
    op.execute(FIND_API_KEY)
    op.execute("REVOKE ALL ON FUNCTION find_api_key(bytea) FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION find_api_key(bytea) TO gateway_serve, gateway_work")
    create_rate_budgets()
    create_uses()
    create_changes()
    migrations.protect(op, *TABLES, service="gateway")


def create_rate_budgets() -> None:
    op.create_table(
        "rate_budgets",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("key_id", postgresql.UUID(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("spent_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key_id", name="rate_budgets_pkey"),
        prefixes=["UNLOGGED"],
    )


def create_uses() -> None:
    op.create_table(
        "api_key_uses",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("key_id", postgresql.UUID(), nullable=False),
        sa.Column("hour_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key_id", "hour_at", name="api_key_uses_pkey"),
        sa.ForeignKeyConstraint(
            ["account_id", "key_id"],
            ["api_keys.account_id", "api_keys.id"],
            name="api_key_uses_key",
            ondelete="CASCADE",
        ),
    )
    op.create_index("api_key_uses_hour_at", "api_key_uses", ["hour_at"], postgresql_using="brin")


def create_changes() -> None:
    op.create_table(
        "api_key_changes",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("key_id", postgresql.UUID(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("action IN ('created', 'rotated', 'revoked')", name="api_key_changes_action"),
        sa.PrimaryKeyConstraint("account_id", "key_id", "id", name="api_key_changes_pkey"),
        sa.ForeignKeyConstraint(
            ["account_id", "key_id"],
            ["api_keys.account_id", "api_keys.id"],
            name="api_key_changes_key",
            ondelete="CASCADE",
        ),
    )
