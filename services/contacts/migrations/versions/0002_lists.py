"""Static lists and who is on them."""

from alembic import op

from chassis.migrations import protect

revision = "0002"
down_revision = "0001"

SCHEMA = """
CREATE TABLE lists (
    account_id UUID NOT NULL,
    id UUID NOT NULL,
    version BIGINT DEFAULT 1 NOT NULL,
    name TEXT NOT NULL,
    description TEXT,
    member_count BIGINT DEFAULT 0 NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT lists_pkey PRIMARY KEY (account_id, id)
);

CREATE TABLE contact_lists (
    account_id UUID NOT NULL,
    list_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    added_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT contact_lists_pkey PRIMARY KEY (account_id, list_id, contact_id)
)
"""

PROTECTED = ("lists", "contact_lists")


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, *PROTECTED, service="contacts")
