"""Segments, their builds and members, and the projection of contacts."""

import sqlalchemy as sa
from alembic import op

from chassis import migrations, outbox

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE segments (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    version bigint NOT NULL,
    served_build uuid,
    next_build uuid,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT segments_pkey PRIMARY KEY (account_id, id)
);
CREATE TABLE builds (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    segment_id uuid NOT NULL,
    conditions jsonb NOT NULL,
    state text NOT NULL,
    members bigint NOT NULL DEFAULT 0,
    revision bigint NOT NULL DEFAULT 0,
    cut bigint NOT NULL DEFAULT 0,
    replaces uuid,
    position uuid,
    failures integer NOT NULL DEFAULT 0,
    lease_until timestamptz,
    lease_generation bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    CONSTRAINT builds_pkey PRIMARY KEY (account_id, id),
    CONSTRAINT builds_state_known
        CHECK (state IN ('building', 'announcing', 'serving', 'replaced', 'retired', 'failed'))
) WITH (fillfactor = 50);
CREATE INDEX builds_segment ON builds (account_id, segment_id);
CREATE INDEX builds_work ON builds (lease_until) WHERE state IN ('building', 'announcing', 'retired');
CREATE TABLE members (
    account_id uuid NOT NULL,
    build_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    joined_at timestamptz NOT NULL,
    revision bigint NOT NULL,
    CONSTRAINT members_pkey PRIMARY KEY (account_id, build_id, contact_id)
);
CREATE INDEX members_contact ON members (account_id, contact_id, build_id);
CREATE TABLE contacts_projection (
    account_id uuid NOT NULL,
    contact_id uuid NOT NULL,
    version bigint NOT NULL,
    deleted boolean NOT NULL,
    name text COLLATE "C",
    phone text COLLATE "C",
    email text COLLATE "C",
    tags text[] COLLATE "C" NOT NULL,
    snapshot bytea,
    CONSTRAINT contacts_projection_pkey PRIMARY KEY (account_id, contact_id)
);
CREATE TABLE rule_sets (
    account_id uuid NOT NULL,
    generation bigint NOT NULL,
    CONSTRAINT rule_sets_pkey PRIMARY KEY (account_id)
);
"""
NAMES = ("segments", "builds", "members", "contacts_projection", "rule_sets", "outbox", "idempotency_keys")


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    common = sa.MetaData()
    outbox.tables(common)
    common.create_all(op.get_bind())
    migrations.grant_schema(op, service="segments")
    migrations.protect(op, *NAMES, service="segments")
