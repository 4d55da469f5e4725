"""The tables that every service's schema has besides its own, as its migrations make them.

Apart from the code that uses them, so that a serving process need not import SQLAlchemy.
"""

from sqlalchemy import Boolean, Column, DateTime, Index, LargeBinary, MetaData, Table, Text, Uuid, text


def add_to(metadata: MetaData) -> None:
    """Adds `outbox` and `idempotency_keys`."""
    Table(
        "outbox",
        metadata,
        Column("account_id", Uuid(), primary_key=True),
        Column("id", Uuid(), primary_key=True),
        Column("type", Text, nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("bulk", Boolean, nullable=False),
        # W3C trace context of the request that caused the event; empty when it was not traced.
        Column("traceparent", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("published_at", DateTime(timezone=True)),
        # The relay's work list, over all accounts; rows leave it when they are published.
        Index("outbox_unpublished", "bulk", "created_at", postgresql_where=text("published_at IS NULL")),
        Index("outbox_created_at", "created_at", postgresql_using="brin"),
    )
    Table(
        "idempotency_keys",
        metadata,
        Column("account_id", Uuid(), primary_key=True),
        Column("key", Text, primary_key=True),
        Column("method", Text, nullable=False),
        Column("fingerprint", LargeBinary, nullable=False),
        # The serialised gRPC response, without secrets.
        Column("response", LargeBinary, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
        Index("idempotency_keys_created_at", "created_at", postgresql_using="brin"),
    )
