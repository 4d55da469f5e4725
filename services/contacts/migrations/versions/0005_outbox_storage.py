"""Bulk events are kept as they are: compressing an import's took a tenth of the database's time."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("ALTER TABLE outbox ALTER COLUMN data SET STORAGE EXTERNAL")
