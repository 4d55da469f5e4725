"""Accounts, their API keys, the feed of events, webhooks, and what every service has besides."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import UUID

from chassis import tables

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s",
        "ix": "%(column_0_label)s",
    }
)

accounts = Table(
    "accounts",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
    CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="name_length"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    # For a person: what the key is used for.
    Column("name", Text, nullable=False),
    # live or test, as its prefix says.
    Column("mode", Text, nullable=False),
    # SHA-256 of the key; the key itself is nowhere.
    Column("hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    # Written at most once a minute; see find_api_key in migrations 0001 and 0002.
    Column("last_used_at", DateTime(timezone=True)),
    # NULL where the deployment's default holds.
    Column("rate_limit_per_second", Integer),
    # The key that this one was made to replace.
    Column("replaces", UUID()),
    ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="api_keys_account", ondelete="CASCADE"),
    CheckConstraint("mode IN ('live', 'test')", name="mode"),
    CheckConstraint("octet_length(hash) = 32", name="hash_length"),
    CheckConstraint("rate_limit_per_second BETWEEN 1 AND 100000", name="rate_limit"),
    # A key is looked up before its account is known, so this one index does not lead with account_id. It need not be
    # unique: two keys of 24 random bytes are never the same.
    Index("api_keys_hash", "hash"),
)

# See domain.budget. Not in the log and not on replicas: lost, it begins anew.
rate_budgets = Table(
    "rate_budgets",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("key_id", UUID(), primary_key=True),
    # Seconds since 1970, by the database's clock.
    Column("since", Double, nullable=False),
    Column("spent_until", Double, nullable=False),
    prefixes=["UNLOGGED"],
)

api_key_uses = Table(
    "api_key_uses",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("key_id", UUID(), primary_key=True),
    Column("hour_at", DateTime(timezone=True), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    # Of them, over the limit or without the scope.
    Column("refused", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["account_id", "key_id"], ["api_keys.account_id", "api_keys.id"], name="api_key_uses_key", ondelete="CASCADE"
    ),
    Index("api_key_uses_hour_at", "hour_at", postgresql_using="brin"),
)

# Append-only: who made, rotated and revoked a key.
api_key_changes = Table(
    "api_key_changes",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("key_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("action", Text, nullable=False),
    # The id of the key whose request it was, or `operator` for the command line.
    Column("actor", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
    ForeignKeyConstraint(
        ["account_id", "key_id"], ["api_keys.account_id", "api_keys.id"], name="api_key_changes_key", ondelete="CASCADE"
    ),
    CheckConstraint("action IN ('created', 'rotated', 'revoked')", name="action"),
)

feed_heads = Table(
    "feed_heads",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    # Of the account's last event.
    Column("position", BigInteger, nullable=False),
)

feed_events = Table(
    "feed_events",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    # From 1, without gaps; events become visible in this order.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    # The event's own, as on NATS.
    Column("id", UUID(), nullable=False),
    Column("type", Text, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    # The protobuf message, not compressed.
    Column("data", LargeBinary, nullable=False),
    # Rises with the position.
    Column("received_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("account_id", "id", name="feed_events_id"),
    Index("feed_events_received_at", "received_at", postgresql_using="brin"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("url", Text, nullable=False),
    # For a person.
    Column("description", Text, nullable=False),
    # Types and wildcards; empty is all.
    Column("event_types", ARRAY(Text), nullable=False),
    Column("enabled", Boolean, nullable=False),
    # `gone`: it answered 410. Null while it is enabled, or where a person disabled it.
    Column("disabled_reason", Text),
    # Fernet tokens; the old secret signs too until its time is over.
    Column("secret", LargeBinary, nullable=False),
    Column("old_secret", LargeBinary),
    Column("old_secret_until", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False, server_default=sql("1")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
)

webhook_queues = Table(
    "webhook_queues",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("webhook_id", UUID(), primary_key=True),
    # When to look at it next; null where nothing is to be delivered.
    Column("due_at", DateTime(timezone=True)),
    # The worker that delivers, for as long as its lease is.
    Column("holder", UUID()),
    Column("held_until", DateTime(timezone=True), nullable=False, server_default=sql("'-infinity'")),
    # Attempts that failed since the last that did not.
    Column("failures", Integer, nullable=False, server_default=sql("0")),
    Index("webhook_queues_due", "due_at", postgresql_where=sql("due_at IS NOT NULL")),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("webhook_id", UUID(), primary_key=True),
    Column("event_id", UUID(), primary_key=True),
    Column("type", Text, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    # In the feed; 0 of a test.
    Column("position", BigInteger, nullable=False),
    # What the event tells of, for the order: see webhooks.fan_out.pack.
    Column("objects", LargeBinary, nullable=False),
    # Attempts made.
    Column("tries", Integer, nullable=False, server_default=sql("0")),
    # A test or a replay: in nobody's order.
    Column("manual", Boolean, nullable=False, server_default=sql("false")),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=sql("now()")),
    Index(
        "webhook_deliveries_fresh",
        "account_id",
        "webhook_id",
        "position",
        postgresql_where=sql("tries = 0 AND NOT manual"),
    ),
    Index(
        "webhook_deliveries_again",
        "account_id",
        "webhook_id",
        "next_at",
        postgresql_where=sql("tries > 0 OR manual"),
    ),
)

webhook_attempts = Table(
    "webhook_attempts",
    metadata,
    Column("account_id", UUID(), primary_key=True),
    Column("webhook_id", UUID(), primary_key=True),
    Column("id", UUID(), primary_key=True),
    Column("event_id", UUID(), nullable=False),
    Column("type", Text, nullable=False),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
    # From 1.
    Column("number", Integer, nullable=False),
    # delivered, failed or gone.
    Column("outcome", Text, nullable=False),
    # What it answered; null where it did not.
    Column("status", Integer),
    Column("error", Text),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    # Null where it was the last.
    Column("next_at", DateTime(timezone=True)),
    Index("webhook_attempts_started_at", "started_at", postgresql_using="brin"),
)

tables.add_to(metadata)
