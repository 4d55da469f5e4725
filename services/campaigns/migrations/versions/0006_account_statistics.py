"""The planner keeps no statistics of which accounts the ledger's lines belong to.

Knowing other accounts, it takes one that it has not met for all but empty, and reads everything that is the account's,
by whatever index, where the chunk's own lines are asked for. Knowing none, it expects a part of the table.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("ALTER TABLE recipients ALTER COLUMN account_id SET STATISTICS 0")


def downgrade() -> None:
    op.execute("ALTER TABLE recipients ALTER COLUMN account_id SET STATISTICS -1")
