"""How often the ledger heard of deleted contacts while an audience was written to it.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN erasures BIGINT NOT NULL DEFAULT 0")
    op.execute("CREATE INDEX campaigns_freezing ON campaigns (account_id, id) WHERE freezing")


def downgrade() -> None:
    op.execute("DROP INDEX campaigns_freezing")
    op.execute("ALTER TABLE runs DROP COLUMN erasures")
