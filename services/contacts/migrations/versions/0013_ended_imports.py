"""The search index asks whether an import has ended since an event was made."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.execute("CREATE INDEX imports_finished_at ON imports (finished_at) WHERE finished_at IS NOT NULL")
