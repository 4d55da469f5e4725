"""Changes to many contacts that go on in the background."""

from alembic import op

from chassis.migrations import protect

revision = "0004"
down_revision = "0003"

SCHEMA = """
CREATE TABLE bulk_jobs (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    status TEXT DEFAULT 'queued' NOT NULL,
    change JSONB NOT NULL,
    filter BYTEA,
    of_list UUID,
    done_to UUID,
    changed BIGINT DEFAULT 0 NOT NULL,
    unchanged BIGINT DEFAULT 0 NOT NULL,
    failed BIGINT DEFAULT 0 NOT NULL,
    error TEXT DEFAULT '' NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    traceparent TEXT DEFAULT '' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    finished_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT bulk_jobs_pkey PRIMARY KEY (account_id, id),
    CONSTRAINT bulk_jobs_status_check CHECK (status IN ('queued', 'running', 'completed', 'failed')),
    CONSTRAINT bulk_jobs_target_check CHECK ((filter IS NULL) <> (of_list IS NULL))
);
CREATE INDEX bulk_jobs_open ON bulk_jobs (due_at) WHERE status IN ('queued', 'running')
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, "bulk_jobs", service="contacts")
