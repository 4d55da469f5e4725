"""How Postgres is to look for rows in tables that are a queue: empty one moment, a hundred thousand rows the next.

A plan that was made while the table was all but empty reads the whole of it, and is kept for the connection until
statistics are gathered again, a minute into the burst. Whatever is looked for here has an index.
"""

from chassis.db import ReadTx

NO_SCAN = "SELECT set_config('enable_seqscan', 'off', true)"


async def by_index(tx: ReadTx) -> None:
    """For the rest of the transaction; said before its first query."""
    await tx.connection.execute(NO_SCAN)
