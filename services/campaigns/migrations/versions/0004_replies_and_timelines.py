"""Messages from recipients; the states of chunks, so that a page of one state is found; stats minute by minute.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

from chassis.migrations import protect

revision = "0004"
down_revision = "0003"

SCHEMA = """
ALTER TABLE recipients ADD COLUMN opened_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE recipients ADD COLUMN clicked_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE campaign_stats ADD COLUMN reconciled_at TIMESTAMP WITH TIME ZONE DEFAULT 'epoch' NOT NULL;
CREATE INDEX campaign_stats_reconciled ON campaign_stats (reconciled_at);

CREATE TABLE campaign_minutes (
    account_id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    sent BIGINT DEFAULT 0 NOT NULL,
    delivered BIGINT DEFAULT 0 NOT NULL,
    failed BIGINT DEFAULT 0 NOT NULL,
    skipped BIGINT DEFAULT 0 NOT NULL,
    uncertain BIGINT DEFAULT 0 NOT NULL,
    opened BIGINT DEFAULT 0 NOT NULL,
    clicked BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT campaign_minutes_pkey PRIMARY KEY (account_id, campaign_id, minute)
) WITH (fillfactor = 50);

CREATE TABLE chunk_states (
    account_id UUID NOT NULL,
    campaign_id UUID NOT NULL,
    chunk INTEGER NOT NULL,
    pending INTEGER DEFAULT 0 NOT NULL,
    claimed INTEGER DEFAULT 0 NOT NULL,
    sent INTEGER DEFAULT 0 NOT NULL,
    delivered INTEGER DEFAULT 0 NOT NULL,
    opened INTEGER DEFAULT 0 NOT NULL,
    clicked INTEGER DEFAULT 0 NOT NULL,
    failed INTEGER DEFAULT 0 NOT NULL,
    skipped INTEGER DEFAULT 0 NOT NULL,
    uncertain INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT chunk_states_pkey PRIMARY KEY (account_id, campaign_id, chunk)
) WITH (fillfactor = 50);

CREATE TABLE inbound (
    account_id UUID NOT NULL,
    sender_id UUID NOT NULL,
    provider_message_id TEXT NOT NULL,
    id UUID NOT NULL,
    channel TEXT NOT NULL,
    address TEXT NOT NULL,
    to_address TEXT NOT NULL,
    text TEXT NOT NULL,
    word TEXT NOT NULL,
    source TEXT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    campaign_id UUID,
    recipient_id UUID,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tries INTEGER DEFAULT 0 NOT NULL,
    done_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT inbound_pkey PRIMARY KEY (account_id, sender_id, provider_message_id)
);
CREATE INDEX inbound_due ON inbound (due_at) WHERE done_at IS NULL;
CREATE INDEX inbound_open ON inbound (account_id, channel, address, id) WHERE done_at IS NULL;
CREATE INDEX inbound_received_at ON inbound USING brin (received_at)
"""

STATES = ("pending", "claimed", "sent", "delivered", "opened", "clicked", "failed", "skipped", "uncertain")
COLUMNS = ", ".join(STATES)
# What one statement did to each chunk, in the order of chunks, as everybody who locks several.
COUNTS = ", ".join(f"coalesce(sum(n) FILTER (WHERE status = '{state}'), 0) AS {state}" for state in STATES)
KEEP = f"""
CREATE FUNCTION keep_chunk_states() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO chunk_states AS s (account_id, campaign_id, chunk, {COLUMNS})
    SELECT account_id, campaign_id, chunk, {COUNTS}
    FROM (SELECT account_id, campaign_id, chunk, status, 1 AS n FROM new_rows) AS t
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (account_id, campaign_id, chunk) DO UPDATE SET
      {", ".join(f"{state} = s.{state} + excluded.{state}" for state in STATES)};
  ELSIF TG_OP = 'UPDATE' THEN
    INSERT INTO chunk_states AS s (account_id, campaign_id, chunk, {COLUMNS})
    SELECT account_id, campaign_id, chunk, {COUNTS} FROM (
      SELECT account_id, campaign_id, chunk, status, sum(n) AS n FROM (
        SELECT account_id, campaign_id, chunk, status, 1 AS n FROM new_rows
        UNION ALL SELECT account_id, campaign_id, chunk, status, -1 FROM old_rows
      ) AS steps GROUP BY 1, 2, 3, 4 HAVING sum(n) <> 0
    ) AS t
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (account_id, campaign_id, chunk) DO UPDATE SET
      {", ".join(f"{state} = s.{state} + excluded.{state}" for state in STATES)};
  ELSE
    WITH gone AS (
      SELECT account_id, campaign_id, chunk, {COUNTS}
      FROM (SELECT account_id, campaign_id, chunk, status, 1 AS n FROM old_rows) AS t GROUP BY 1, 2, 3
    ), locked AS (
      SELECT s.account_id, s.campaign_id, s.chunk FROM chunk_states AS s
      JOIN gone AS g ON (s.account_id, s.campaign_id, s.chunk) = (g.account_id, g.campaign_id, g.chunk)
      ORDER BY 1, 2, 3 FOR UPDATE OF s
    )
    UPDATE chunk_states AS s SET {", ".join(f"{state} = s.{state} - g.{state}" for state in STATES)}
    FROM gone AS g JOIN locked AS l USING (account_id, campaign_id, chunk)
    WHERE s.account_id = g.account_id AND s.campaign_id = g.campaign_id AND s.chunk = g.chunk;
  END IF;
  RETURN NULL;
END $$
"""
TRIGGERS = (
    "CREATE TRIGGER chunk_states_insert AFTER INSERT ON recipients REFERENCING NEW TABLE AS new_rows "
    "FOR EACH STATEMENT EXECUTE FUNCTION keep_chunk_states()",
    "CREATE TRIGGER chunk_states_update AFTER UPDATE ON recipients "
    "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION keep_chunk_states()",
    "CREATE TRIGGER chunk_states_delete AFTER DELETE ON recipients REFERENCING OLD TABLE AS old_rows "
    "FOR EACH STATEMENT EXECUTE FUNCTION keep_chunk_states()",
)
# What was there before.
FILL_STATES = f"""
INSERT INTO chunk_states (account_id, campaign_id, chunk, {COLUMNS})
SELECT account_id, campaign_id, chunk, {COUNTS}
FROM (SELECT account_id, campaign_id, chunk, status, 1 AS n FROM recipients) AS t GROUP BY 1, 2, 3
"""
# At the campaign's start, for want of anything better.
FILL_MINUTES = """
INSERT INTO campaign_minutes (account_id, campaign_id, minute, sent, delivered, failed, skipped, uncertain, opened,
  clicked)
SELECT s.account_id, s.campaign_id, date_trunc('minute', coalesce(c.started_at, c.created_at)), s.sent, s.delivered,
  s.failed, s.skipped, s.uncertain, s.opened, s.clicked
FROM campaign_stats AS s JOIN campaigns AS c ON c.account_id = s.account_id AND c.id = s.campaign_id
WHERE s.sent + s.skipped + s.uncertain > 0
"""

TABLES = ("campaign_minutes", "chunk_states", "inbound")


def upgrade() -> None:
    for statement in SCHEMA.split(";\n"):
        op.execute(statement)
    protect(op, *TABLES, service="campaigns")
    # As text: a colon would be a parameter's.
    op.execute(sa.text(KEEP))
    for statement in (FILL_STATES, *TRIGGERS, FILL_MINUTES):
        op.execute(statement)
