"""The feed of events: each account's in one line, by positions that have no gap.

A position is given under the lock of the account's head, which is held until the commit, so that positions become
visible in their order. `data` is not compressed by Postgres: bulk events of 512 KiB would cost more processor time
there than everything else that is done with them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from chassis import migrations

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "feed_heads",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="feed_heads_pkey"),
    )
    op.create_table(
        "feed_events",
        sa.Column("account_id", postgresql.UUID(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("id", postgresql.UUID(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "position", name="feed_events_pkey"),
        sa.UniqueConstraint("account_id", "id", name="feed_events_id"),
    )
    op.execute("ALTER TABLE feed_events ALTER COLUMN data SET STORAGE EXTERNAL")
    op.create_index("feed_events_received_at", "feed_events", ["received_at"], postgresql_using="brin")
    migrations.protect(op, "feed_heads", "feed_events", service="gateway")
