"""Accounts, their API keys, and what every service has besides."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
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

tables.add_to(metadata)
