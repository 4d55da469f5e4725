"""Queries on templates."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from chassis.db import ReadTx, WriteTx
from services.campaigns import contents
from services.campaigns.domain.content import Content

INSERT = """
INSERT INTO templates (account_id, id, name, channel, body, subject, html, whatsapp, variables)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *
"""
GET = "SELECT * FROM templates WHERE account_id = $1 AND id = $2"
UPDATE = """
UPDATE templates SET name = $3, body = $4, subject = $5, html = $6, whatsapp = $7, variables = $8,
  version = version + 1, updated_at = now()
WHERE account_id = $1 AND id = $2 RETURNING *
"""
DELETE = "DELETE FROM templates WHERE account_id = $1 AND id = $2"
PAGE = """
SELECT * FROM templates WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What a template is written as."""

    name: str
    content: Content
    variables: Sequence[str]

    def values(self) -> tuple[object, ...]:
        """In the order of INSERT and UPDATE."""
        content = self.content
        return content.body, content.subject, content.html, contents.dumped(content.whatsapp), self.variables


async def insert(tx: WriteTx, template_id: UUID, channel: str, new: Written) -> asyncpg.Record:
    row = await tx.fetchrow(INSERT, tx.account, template_id, new.name, channel, *new.values())
    assert row is not None
    return row


async def get(tx: ReadTx, account: UUID, template_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET, account, template_id)


async def get_for_update(tx: WriteTx, template_id: UUID) -> asyncpg.Record | None:
    return await tx.fetchrow(GET + " FOR UPDATE", tx.account, template_id)


async def get_for_share(tx: WriteTx, template_id: UUID) -> asyncpg.Record | None:
    """Keeps it from being deleted before the transaction ends."""
    return await tx.fetchrow(GET + " FOR SHARE", tx.account, template_id)


async def update(tx: WriteTx, template_id: UUID, new: Written) -> asyncpg.Record:
    row = await tx.fetchrow(UPDATE, tx.account, template_id, new.name, *new.values())
    assert row is not None
    return row


async def delete(tx: WriteTx, template_id: UUID) -> None:
    await tx.execute(DELETE, tx.account, template_id)


async def page(tx: ReadTx, account: UUID, *, below: UUID | None, size: int) -> list[asyncpg.Record]:
    return await tx.fetch(PAGE, account, below, size)
