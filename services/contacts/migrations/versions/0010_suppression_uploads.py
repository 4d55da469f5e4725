"""Addresses of uploads to the do-not-contact list, until the upload has ended."""

from alembic import op

from chassis.migrations import protect

revision = "0010"
down_revision = "0009"

TABLE = """
CREATE TABLE suppression_uploads (
    account_id UUID NOT NULL,
    upload_id UUID NOT NULL,
    address TEXT NOT NULL,
    id UUID NOT NULL,
    email TEXT,
    reason TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT suppression_uploads_pkey PRIMARY KEY (account_id, upload_id, address)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    protect(op, "suppression_uploads", service="contacts")
