"""Calls that do their work before they write: whether they were answered before is asked first."""

from chassis import idempotency
from chassis.call import Call
from chassis.db import ReadTx


async def check_first(tx: ReadTx, call: Call) -> None:
    """Raises Replay where the call's Idempotency-Key was answered, and refuses as idempotency.begin does."""
    if call.idempotency is not None:
        await idempotency.begin(tx.connection, call)
