"""What a dry run would change."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("ALTER TABLE imports ADD COLUMN changes JSONB")
