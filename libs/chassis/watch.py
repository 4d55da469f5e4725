"""Gauges of what lies in the database: work that waits, work that nobody does.

Every `work` process looks, so all replicas of a service say the same: alerts and dashboards take `max`, never `sum`.
A gauge of this kind always has labels, so that processes which do not look do not say 0.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from prometheus_client import Gauge

from chassis.db import Database, ReadTx
from chassis.errors import CarillonError

log = structlog.get_logger()

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """sql: rows of the gauge's labels and its value. Values of labels that no row has are set to 0."""

    gauge: Gauge
    sql: str
    labels: Sequence[Sequence[str]]

    async def take(self, tx: ReadTx) -> None:
        found = {tuple(str(label) for label in labels): value for *labels, value in await tx.fetch(self.sql)}
        for labels in {*map(tuple, self.labels), *found}:
            self.gauge.labels(*labels).set(found.get(labels, 0))


DATABASE = "current_database()"
POSTGRES = (
    Look(
        Gauge("carillon_postgres_connections", "Connections to the database, of everybody", ["database"]),
        f"SELECT {DATABASE}, numbackends FROM pg_stat_database WHERE datname = {DATABASE}",
        labels=(),
    ),
    Look(
        Gauge("carillon_postgres_connections_limit", "max_connections of the server", ["database"]),
        f"SELECT {DATABASE}, current_setting('max_connections')::int",
        labels=(),
    ),
    Look(
        Gauge("carillon_postgres_size_bytes", "Size of the database", ["database"]),
        f"SELECT {DATABASE}, pg_database_size({DATABASE})",
        labels=(),
    ),
)


class Watch:
    def __init__(self, db: Database, looks: Sequence[Look]) -> None:
        """db: of the work role. looks: the service's; those at Postgres itself come besides."""
        self._db = db
        self._looks = (*POSTGRES, *looks)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.look()
            except (CarillonError, asyncpg.PostgresError) as error:
                log.warning("watch.failed", error=type(error).__name__)
            await asyncio.sleep(SECONDS)

    async def look(self) -> None:
        async with self._db.across() as tx:
            for look in self._looks:
                await look.take(tx)
