"""The transactional outbox: an event is a row of the transaction that it tells of.

The relay (chassis.relay) publishes rows and marks them on the broker's acknowledgement. Rows stay for the retention.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from chassis import ids
from chassis.ids import AccountId
from chassis.telemetry import current_traceparent

# Limits of one event: see docs/events.md.
MAX_OBJECTS = 500
MAX_BYTES = 512 * 1024

# The account aside.
COLUMNS = ("id", "type", "data", "bulk", "traceparent", "created_at")
TYPES = ("uuid", "text", "bytea", "boolean", "text", "timestamptz")
INSERT = f"""
INSERT INTO outbox (account_id, {", ".join(COLUMNS)})
SELECT * FROM unnest($1::uuid[], {", ".join(f"${at}::{kind}[]" for at, kind in enumerate(TYPES, 2))})
"""


@dataclass(frozen=True, slots=True)
class Event:
    """`type` as in CloudEvents (`contact.updated`); `data` the serialised protobuf message."""

    type: str
    account: AccountId
    data: bytes
    # Bulk work travels in a lane of its own, so that one person's edit never waits behind it.
    bulk: bool = False
    id: UUID = field(default_factory=ids.new)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


def values(event: Event, traceparent: str) -> tuple[object, ...]:
    """In the order of COLUMNS."""
    return event.id, event.type, event.data, event.bulk, traceparent, event.time


async def insert(connection: "asyncpg.Connection[asyncpg.Record]", events: Sequence[Event]) -> None:
    traceparent = current_traceparent()
    columns = zip(*(values(event, traceparent) for event in events), strict=True)
    await connection.execute(INSERT, [event.account for event in events], *columns)


async def clean(connection: "asyncpg.Connection[asyncpg.Record]", kept: timedelta) -> None:
    """Drop published rows of every account that are older. For the work role."""
    await connection.execute(
        "DELETE FROM outbox WHERE created_at < now() - $1::interval AND published_at IS NOT NULL", kept
    )
