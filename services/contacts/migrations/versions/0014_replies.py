"""Messages received from contacts."""

from alembic import op

from chassis.migrations import protect

revision = "0014"
down_revision = "0013"

SCHEMA = """
CREATE TABLE replies (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    to_address TEXT NOT NULL,
    text TEXT NOT NULL,
    campaign_id UUID,
    recipient_id UUID,
    CONSTRAINT replies_pkey PRIMARY KEY (account_id, contact_id, id)
)
"""


def upgrade() -> None:
    op.execute(SCHEMA)
    protect(op, "replies", service="contacts")
