"""Accounts, their API keys, and what every service has besides."""

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
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
    # Written at most once a minute; see find_api_key in migration 0001.
    Column("last_used_at", DateTime(timezone=True)),
    ForeignKeyConstraint(["account_id"], ["accounts.account_id"], name="api_keys_account", ondelete="CASCADE"),
    CheckConstraint("mode IN ('live', 'test')", name="mode"),
    CheckConstraint("octet_length(hash) = 32", name="hash_length"),
    # A key is looked up before its account is known, so this one index does not lead with account_id. It need not be
    # unique: two keys of 24 random bytes are never the same.
    Index("api_keys_hash", "hash"),
)

tables.add_to(metadata)
