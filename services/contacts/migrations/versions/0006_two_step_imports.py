"""Imports that wait to be committed, can be cancelled and know their file again; the cells of failed rows."""

from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = """
ALTER TABLE imports ADD COLUMN queued_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL;
ALTER TABLE imports ADD COLUMN file_name TEXT DEFAULT '' NOT NULL;
ALTER TABLE imports ADD COLUMN sha256 BYTEA;
ALTER TABLE imports ADD COLUMN duplicate_of UUID;
ALTER TABLE imports ADD COLUMN rows_total BIGINT;
ALTER TABLE imports ADD COLUMN preview JSONB;
ALTER TABLE imports DROP CONSTRAINT imports_status_check;
ALTER TABLE imports ADD CONSTRAINT imports_status_check
    CHECK (status IN ('uploaded', 'queued', 'running', 'completed', 'failed', 'cancelled'));
DROP INDEX imports_open;
CREATE INDEX imports_waiting ON imports (queued_at)
    WHERE status IN ('queued', 'running') OR (status = 'uploaded' AND rows_total IS NULL);
CREATE INDEX imports_sha256 ON imports (account_id, sha256);
ALTER TABLE import_errors ADD COLUMN cells TEXT
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
