"""Exports to files."""

from alembic import op

from chassis.migrations import protect

revision = "0007"
down_revision = "0006"

SCHEMA = """
CREATE TABLE exports (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    resource TEXT NOT NULL,
    format TEXT NOT NULL,
    request BYTEA NOT NULL,
    status TEXT DEFAULT 'queued' NOT NULL,
    file_id UUID NOT NULL,
    position TEXT DEFAULT '' NOT NULL,
    chunks INTEGER DEFAULT 0 NOT NULL,
    rows BIGINT DEFAULT 0 NOT NULL,
    bytes BIGINT DEFAULT 0 NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    traceparent TEXT DEFAULT '' NOT NULL,
    lease_generation BIGINT DEFAULT 0 NOT NULL,
    lease_until TIMESTAMP WITH TIME ZONE,
    attempts INTEGER DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    expires_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT exports_pkey PRIMARY KEY (account_id, id),
    CONSTRAINT exports_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed'))
);
CREATE INDEX exports_open ON exports (created_at) WHERE status IN ('queued', 'running');
CREATE INDEX exports_expires_at ON exports (expires_at) WHERE expires_at IS NOT NULL
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, "exports", service="contacts")
