"""Evidence of consent, opt-outs and the rules of consent; the timeline's entries and messages."""

from alembic import op

from chassis.migrations import protect

revision = "0003"
down_revision = "0002"

SCHEMA = """
CREATE TABLE consents (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    id UUID NOT NULL,
    channel TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    source TEXT NOT NULL,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT consents_pkey PRIMARY KEY (account_id, contact_id, id)
);

CREATE TABLE optouts (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    channel TEXT NOT NULL,
    opted_out_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT optouts_pkey PRIMARY KEY (account_id, contact_id, channel)
);
CREATE INDEX optouts_channel ON optouts (account_id, channel, contact_id);

CREATE TABLE consent_rules (
    account_id UUID NOT NULL,
    require_opt_in BOOLEAN DEFAULT false NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT consent_rules_pkey PRIMARY KEY (account_id)
);

CREATE TABLE activity (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    id UUID NOT NULL,
    type TEXT NOT NULL,
    channel TEXT,
    text TEXT NOT NULL,
    data JSONB DEFAULT '{}' NOT NULL,
    actor TEXT NOT NULL,
    CONSTRAINT activity_pkey PRIMARY KEY (account_id, contact_id, at, id)
);

CREATE TABLE messages (
    account_id UUID NOT NULL,
    contact_id UUID NOT NULL,
    id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    state_revision BIGINT NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE,
    delivered_at TIMESTAMP WITH TIME ZONE,
    opened_at TIMESTAMP WITH TIME ZONE,
    clicked_at TIMESTAMP WITH TIME ZONE,
    failed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT messages_pkey PRIMARY KEY (account_id, contact_id, id)
) WITH (fillfactor = 80)
"""

PROTECTED = ("consents", "optouts", "consent_rules", "activity", "messages")

# For every role, the owner among them, whom rights do not bind.
REFUSE_UPDATE = """
CREATE FUNCTION refuse_update() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""
APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE ON consents FOR EACH STATEMENT EXECUTE FUNCTION refuse_update()
"""


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, *PROTECTED, service="contacts")
    op.execute("REVOKE UPDATE ON consents FROM contacts_serve, contacts_work")
    # Only erasure, which runs in work, takes evidence away.
    op.execute("REVOKE DELETE ON consents FROM contacts_serve")
    op.execute(REFUSE_UPDATE)
    op.execute(APPEND_ONLY)
