"""Encrypts anew what older keys encrypted, so that those can be taken away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from cryptography.fernet import InvalidToken

from chassis import ids
from chassis.db import Database, WriteTx
from chassis.sealing import Sealer
from services.campaigns import convert
from services.campaigns.repository import senders as queries

PAGE = 200


@dataclass(slots=True)
class Step:
    """What one transaction did."""

    senders: int = 0
    resealed: int = 0
    # Public ids of senders that none of the keys opens.
    lost: list[str] = field(default_factory=list)


async def reseal(db: Database, sealer: Sealer) -> AsyncIterator[Step]:
    """Every sender of every account, page by page. Beside the services, and as often as wanted."""
    above: tuple[UUID, UUID] | None = None
    while True:
        async with db.across() as tx:
            rows = await queries.sealed(tx, above=above, size=PAGE)
            step = Step(senders=len(rows))
            for row in rows:
                await take(tx, sealer, row, step)
        yield step
        if len(rows) < PAGE:
            return
        above = rows[-1]["account_id"], rows[-1]["id"]


async def take(tx: WriteTx, sealer: Sealer, row: asyncpg.Record, step: Step) -> None:
    sealed = row["secrets"], row["receipts_secret"]
    try:
        if all(sealer.key_of(one) == sealer.current for one in sealed):
            return
        secrets, receipts_secret = (sealer.seal(sealer.open(one)) for one in sealed)
    except InvalidToken:
        step.lost.append(ids.encode(convert.SENDER, row["id"]))
        return
    step.resealed += await queries.reseal(tx, row, secrets=secrets, receipts_secret=receipts_secret)
