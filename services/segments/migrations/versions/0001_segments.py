"""Segments, their builds and members, and the projection of contacts."""

from alembic import op

from chassis import migrations

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
CREATE TABLE outbox (
    account_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    data bytea NOT NULL,
    bulk boolean NOT NULL,
    traceparent text NOT NULL,
    created_at timestamptz NOT NULL,
    published_at timestamptz,
    CONSTRAINT outbox_pkey PRIMARY KEY (account_id, id)
);
CREATE INDEX outbox_created_at ON outbox USING brin (created_at);
CREATE INDEX outbox_unpublished ON outbox (bulk, created_at) WHERE published_at IS NULL;
CREATE TABLE idempotency_keys (
    account_id uuid NOT NULL,
    key text NOT NULL,
    method text NOT NULL,
    fingerprint bytea NOT NULL,
    response bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (account_id, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING brin (created_at)
"""
NAMES = ("segments", "builds", "members", "contacts_projection", "rule_sets", "outbox", "idempotency_keys")


def upgrade() -> None:
    for statement in TABLES.split(";\n"):
        op.execute(statement)
    migrations.grant_schema(op, service="segments")
    migrations.protect(op, *NAMES, service="segments")
