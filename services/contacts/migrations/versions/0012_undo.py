"""Imports can be undone: contacts know the import that made them, imports the contacts that they changed."""

from alembic import op

from chassis.migrations import protect

revision = "0012"
down_revision = "0011"

SCHEMA = """
ALTER TABLE contacts ADD COLUMN import_id UUID;
ALTER TABLE imports ADD COLUMN first_contact_id UUID;
ALTER TABLE imports ADD COLUMN last_contact_id UUID;
ALTER TABLE imports ADD COLUMN undo_position UUID;
ALTER TABLE imports ADD COLUMN undo_deleted BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE imports ADD COLUMN undo_kept BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE imports DROP CONSTRAINT imports_status_check;
ALTER TABLE imports ADD CONSTRAINT imports_status_check CHECK (
    status IN ('uploaded', 'queued', 'running', 'completed', 'failed', 'cancelled', 'undoing', 'undone')
);
CREATE INDEX imports_undoing ON imports (queued_at) WHERE status = 'undoing';

CREATE TABLE import_updates (
    account_id UUID NOT NULL,
    import_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT import_updates_pkey PRIMARY KEY (account_id, import_id, contact_id)
)
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, "import_updates", service="contacts")
