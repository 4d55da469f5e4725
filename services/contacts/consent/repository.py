"""The queries on evidence of consent, opt-outs and the account's rules.

`consents` and `optouts` are keyed by contact_id. Evidence is only ever added; no role may change it.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from uuid import UUID

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.consent.record import Consent, Optout
from services.contacts.domain.contact import Contact

COLUMNS = ", ".join(field.name for field in fields(Consent))

# Evidence of every change ($3 to $10), and the opt-outs as rows: those that went, those that came.
KEEP = f"""
WITH evidence AS (
    INSERT INTO consents (account_id, contact_id, {COLUMNS})
    SELECT $1, $2, said.*, $7, $8, $9, $10
    FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[]) AS said(id, channel, before, after)
    RETURNING channel, after, at
), gone AS (
    DELETE FROM optouts AS o USING evidence AS e
    WHERE o.account_id = $1 AND o.contact_id = $2 AND o.channel = e.channel AND e.after <> 'opted_out'
)
INSERT INTO optouts (account_id, contact_id, channel, opted_out_at)
SELECT $1, $2, channel, at FROM evidence WHERE after = 'opted_out' ON CONFLICT DO NOTHING
"""
PAGE = f"""
SELECT {COLUMNS} FROM consents
WHERE account_id = $1 AND contact_id = $2 AND ($3::uuid IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""

OPTOUTS = """
SELECT contact_id, channel, opted_out_at FROM optouts
WHERE account_id = $1 AND contact_id = ANY($2::uuid[]) ORDER BY contact_id, channel
"""

RULES = "SELECT require_opt_in FROM consent_rules WHERE account_id = $1"
WRITE_RULES = """
INSERT INTO consent_rules (account_id, require_opt_in, updated_at) VALUES ($1, coalesce($2, false), now())
ON CONFLICT (account_id) DO UPDATE
SET require_opt_in = coalesce($2, consent_rules.require_opt_in), updated_at = excluded.updated_at
RETURNING require_opt_in
"""


async def keep(tx: WriteTx, account: AccountId, contact_id: UUID, evidence: Sequence[Consent]) -> None:
    """evidence: of one moment and one source, one entry a channel. The contact is locked by the caller."""
    one = evidence[0]
    await tx.execute(
        KEEP,
        account,
        contact_id,
        [entry.id for entry in evidence],
        [entry.channel for entry in evidence],
        [entry.before for entry in evidence],
        [entry.after for entry in evidence],
        one.source,
        one.text,
        one.actor,
        one.at,
    )


async def page(tx: ReadTx, account: AccountId, contact_id: UUID, *, before: UUID | None, limit: int) -> list[Consent]:
    """Newest first, from below the id `before`."""
    return [Consent(*row) for row in await tx.fetch(PAGE, account, contact_id, before, limit)]


async def optouts(tx: ReadTx, account: AccountId, found: Sequence[Contact]) -> list[Optout]:
    """Of a page of contacts, in its order: the channels that each opted out of."""
    rows = await tx.fetch(OPTOUTS, account, [contact.id for contact in found])
    channels: dict[UUID, list[tuple[str, datetime]]] = {contact.id: [] for contact in found}
    for contact_id, channel, opted_out_at in rows:
        channels[contact_id].append((channel, opted_out_at))
    return [Optout(contact, channels[contact.id]) for contact in found]


async def require_opt_in(tx: ReadTx, account: AccountId) -> bool:
    return bool(await tx.fetchval(RULES, account))


async def write_rules(tx: WriteTx, account: AccountId, *, require_opt_in: bool | None) -> bool:
    """None leaves it. Returns what holds now."""
    return bool(await tx.fetchval(WRITE_RULES, account, require_opt_in))
