"""Rules of the whole language: definitions, wider projections, engagement, flips by the clock, references.

What was projected before keeps its few columns until `segments work`'s reconciliation has been over it.
"""

from alembic import op

from chassis import migrations

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE builds
    ADD COLUMN definition text,
    ADD COLUMN inlined text NOT NULL DEFAULT '{}',
    ADD COLUMN looked_at bigint NOT NULL DEFAULT 0,
    ADD COLUMN to_look_at bigint NOT NULL DEFAULT 0;
UPDATE builds SET definition = (
    SELECT json_build_object('conditions', json_agg(json_build_object(
        'field', c -> 'field', 'operator', c -> 'operator',
        'value', CASE WHEN (c -> 'is_array')::boolean THEN c -> 'values' ELSE c -> 'values' -> 0 END)))::text
    FROM jsonb_array_elements(conditions) AS c)
WHERE account_id IS NOT NULL;
ALTER TABLE builds ALTER COLUMN definition SET NOT NULL;
ALTER TABLE builds DROP COLUMN conditions;
ALTER TABLE contacts_projection
    ADD COLUMN first_name text COLLATE "C",
    ADD COLUMN last_name text COLLATE "C",
    ADD COLUMN country text COLLATE "C",
    ADD COLUMN stage text COLLATE "C",
    ADD COLUMN gender text COLLATE "C",
    ADD COLUMN language text COLLATE "C",
    ADD COLUMN timezone text COLLATE "C",
    ADD COLUMN external_id text COLLATE "C",
    ADD COLUMN instagram_id text COLLATE "C",
    ADD COLUMN channel text COLLATE "C",
    ADD COLUMN custom_channel text COLLATE "C",
    ADD COLUMN chat_widget_id text COLLATE "C",
    ADD COLUMN current_campaign text COLLATE "C",
    ADD COLUMN preferences_sms text COLLATE "C",
    ADD COLUMN preferences_whatsapp text COLLATE "C",
    ADD COLUMN preferences_email text COLLATE "C",
    ADD COLUMN preferences_rcs text COLLATE "C",
    ADD COLUMN preferences_viber text COLLATE "C",
    ADD COLUMN preferences_voice text COLLATE "C",
    ADD COLUMN validity_phone text COLLATE "C",
    ADD COLUMN validity_email text COLLATE "C",
    ALTER COLUMN tags DROP NOT NULL,
    ADD COLUMN lists text[] COLLATE "C",
    ADD COLUMN channels text[] COLLATE "C",
    ADD COLUMN is_chat_window_open boolean,
    ADD COLUMN is_bot_active boolean,
    ADD COLUMN do_not_disturb boolean,
    ADD COLUMN created_at bigint,
    ADD COLUMN updated_at bigint,
    ADD COLUMN more jsonb;
ALTER TABLE contacts_projection SET (fillfactor = 80);
CREATE TABLE engagement (
    account_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    last_message_at bigint,
    last_delivered_at bigint,
    last_opened_at bigint,
    last_replied_at bigint,
    messages_received bigint NOT NULL DEFAULT 0,
    campaigns text[] COLLATE "C" NOT NULL DEFAULT '{}',
    CONSTRAINT engagement_pkey PRIMARY KEY (account_id, contact_id)
);
CREATE TABLE messages_received (
    account_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    message text COLLATE "C" NOT NULL,
    CONSTRAINT messages_received_pkey PRIMARY KEY (account_id, contact_id, message)
);
CREATE TABLE due (
    account_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    due_at bigint NOT NULL,
    CONSTRAINT due_pkey PRIMARY KEY (account_id, contact_id)
);
CREATE INDEX due_due_at ON due (due_at);
CREATE TABLE segment_references (
    account_id uuid NOT NULL,
    segment_id uuid NOT NULL,
    names uuid NOT NULL,
    CONSTRAINT segment_references_pkey PRIMARY KEY (account_id, segment_id, names)
);
CREATE INDEX segment_references_names ON segment_references (account_id, names)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
    migrations.protect(op, "engagement", "messages_received", "due", "segment_references", service="segments")
