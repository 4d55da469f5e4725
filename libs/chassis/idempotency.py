"""Idempotency-Key: the answer of a write, kept for 24 h in the transaction that made it.

Because key and write commit together, a retry after any crash either finds both or neither.
"""

from datetime import timedelta

import asyncpg
from google.protobuf.message import Message

from chassis.call import Call, Idempotency
from chassis.errors import Aborted, FailedPrecondition, Reason

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255
TABLE = "idempotency_keys"

# Until the transaction ends.
LOCK = "pg_try_advisory_xact_lock(hashtextextended({account}::text || {key}, 0))"
BEGIN = f"""
SELECT {LOCK.format(account="$1", key="$2")} AS locked,
    kept.method, kept.fingerprint, kept.response
FROM (VALUES (1)) AS one LEFT JOIN idempotency_keys AS kept ON kept.account_id = $1::uuid AND kept.key = $2
"""
KEEP = """
INSERT INTO idempotency_keys (account_id, key, method, fingerprint, response) VALUES ($1, $2, $3, $4, $5)
"""


class Replay(Exception):
    """The call was answered before; the server sends the same answer again."""

    def __init__(self, response: bytes) -> None:
        super().__init__("replay")
        self.response = response


async def begin(connection: "asyncpg.Connection[asyncpg.Record]", call: Call) -> None:
    """Raises Replay, FailedPrecondition(IDEMPOTENCY_KEY_REUSED) or Aborted(IDEMPOTENCY_IN_PROGRESS)."""
    row = await connection.fetchrow(BEGIN, call.account, requested(call).key)
    assert row is not None
    check(call, row)


def check(call: Call, row: asyncpg.Record) -> None:
    """row: `locked`, and the `method`, `fingerprint` and `response` kept under the key or null. Raises as `begin`."""
    asked = requested(call)
    if row["response"] is not None:
        if (row["method"], row["fingerprint"]) != (asked.method, asked.fingerprint):
            raise FailedPrecondition(
                Reason.IDEMPOTENCY_KEY_REUSED, "The Idempotency-Key was used before with another request."
            )
        raise Replay(row["response"])
    if not row["locked"]:
        raise in_progress()


async def keep(connection: "asyncpg.Connection[asyncpg.Record]", call: Call, response: Message) -> None:
    asked = requested(call)
    try:
        await connection.execute(
            KEEP, call.account, asked.key, asked.method, asked.fingerprint, response.SerializeToString()
        )
    except asyncpg.UniqueViolationError as error:
        # The other call committed between our look and our lock.
        raise in_progress() from error


def requested(call: Call) -> Idempotency:
    assert call.idempotency is not None
    return call.idempotency


def in_progress() -> Aborted:
    return Aborted(
        Reason.IDEMPOTENCY_IN_PROGRESS, "A request with this Idempotency-Key has not ended yet; retry in a moment."
    )


async def clean(connection: "asyncpg.Connection[asyncpg.Record]", kept: timedelta) -> None:
    """Forget the keys of every account that are older than KEPT, or than `kept` if that is less. For the work role."""
    await connection.execute("DELETE FROM idempotency_keys WHERE created_at < now() - $1::interval", min(KEPT, kept))
