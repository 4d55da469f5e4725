"""Pages of the ledger have room for the next version of each of their lines.

At 60 % full a page had room for half of them when an intent is written, so that every other one of those updates moved
its line to another page and made an entry in each index. Pages that are there already stay as they are.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE recipients SET (fillfactor = 40)")


def downgrade() -> None:
    op.execute("ALTER TABLE recipients SET (fillfactor = 60)")
