"""How far the reconciliation of each account is."""

from alembic import op

from chassis import migrations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = """
CREATE TABLE reconciliations (
    account_id uuid NOT NULL,
    next_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    counting boolean NOT NULL DEFAULT false,
    position uuid,
    lease_until timestamptz,
    lease_generation bigint NOT NULL DEFAULT 0,
    CONSTRAINT reconciliations_pkey PRIMARY KEY (account_id)
);
CREATE INDEX reconciliations_next_at ON reconciliations (next_at)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    migrations.protect(op, "reconciliations", service="segments")
