"""asyncpg's pool, but for how a connection that is in order goes back to it.

asyncpg makes a task of every release, in case a cancelled query has to be waited for: that costs more than a short
query does (docs/adr/0021). Where none was cancelled there is nothing to wait for.
"""

from typing import Any

import asyncpg

# Connections are made anew after so many queries, or when nobody asked anything of them for so long.
MOST_QUERIES = 50_000
IDLE_SECONDS = 300.0


class Pool(asyncpg.Pool):
    """Of connections that open when they are needed, and of which every transaction ends with the block it began in."""

    def __init__(self, url: str, *, size: int, **connect: Any) -> None:
        """connect: as asyncpg.connect takes it."""
        super().__init__(
            url,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            init_size=None,
            min_size=0,
            max_size=size,
            max_queries=MOST_QUERIES,
            max_inactive_connection_lifetime=IDLE_SECONDS,
            loop=None,
            connect=None,
            setup=None,
            init=None,
            # No query on release: see the class.
            reset=no_reset,
            **connect,
        )

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        if not in_order(connection):
            await super().release(connection, timeout=timeout)
            return
        connection._con._on_release()
        connection._holder._release()
        connection._holder._setup_inactive_callback()


def in_order(proxy: Any) -> bool:
    """Whether the connection can go back as it is."""
    connection, holder = proxy._con, proxy._holder
    return (
        connection is not None
        and not connection.is_closed()
        and not connection._protocol._is_cancelling()
        and not connection.is_in_transaction()
        and connection._protocol.queries_count < holder._max_queries
        and holder._generation == holder._pool._generation
    )


async def no_reset(connection: object) -> None:
    """See Pool."""
