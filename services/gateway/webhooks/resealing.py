"""Encrypts webhooks' secrets anew that older keys encrypted, so that those can be taken away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg
from cryptography.fernet import InvalidToken

from chassis import ids
from chassis.db import Database, WriteTx
from chassis.sealing import Sealer
from services.gateway.webhooks.service import PREFIX

PAGE_SIZE = 200
SEALED = """
SELECT account_id, id, secret, old_secret FROM webhooks
WHERE ($1::uuid IS NULL OR (account_id, id) > ($1, $2)) ORDER BY account_id, id LIMIT $3 FOR NO KEY UPDATE
"""
RESEAL = "UPDATE webhooks SET secret = $3, old_secret = $4 WHERE account_id = $1 AND id = $2"


@dataclass(slots=True)
class Step:
    """What one transaction did."""

    webhooks: int = 0
    resealed: int = 0
    # Public ids of webhooks that none of the keys opens.
    lost: list[str] = field(default_factory=list)


async def reseal(db: Database, sealer: Sealer) -> AsyncIterator[Step]:
    """Every webhook of every account, page by page. Beside the services, and as often as wanted."""
    above: tuple[UUID, UUID] | tuple[None, None] = (None, None)
    while True:
        async with db.across() as tx:
            rows = await tx.fetch(SEALED, *above, PAGE_SIZE)
            step = Step(webhooks=len(rows))
            for row in rows:
                await take(tx, sealer, row, step)
        yield step
        if len(rows) < PAGE_SIZE:
            return
        above = rows[-1]["account_id"], rows[-1]["id"]


async def take(tx: WriteTx, sealer: Sealer, row: asyncpg.Record, step: Step) -> None:
    sealed = row["secret"], row["old_secret"]
    try:
        if all(one is None or sealer.key_of(one) == sealer.current for one in sealed):
            return
        secret, old_secret = (None if one is None else sealer.seal(sealer.open(one)) for one in sealed)
    except InvalidToken:
        step.lost.append(ids.encode(PREFIX, row["id"]))
        return
    await tx.execute(RESEAL, row["account_id"], row["id"], secret, old_secret)
    step.resealed += 1
