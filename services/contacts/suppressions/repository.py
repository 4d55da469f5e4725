"""The queries on suppressions, and the one that says who may be messaged."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from chassis.db import Database, ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.domain.messaging import Standing
from services.contacts.suppressions.record import Suppression

COLUMNS = "id, phone, email, email_normal, channels, reason, created_at"

INSERT = f"""
INSERT INTO suppressions (account_id, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING RETURNING id
"""
HOLDER = """
SELECT id FROM suppressions WHERE account_id = $1 AND phone = $2
UNION ALL
SELECT id FROM suppressions WHERE account_id = $1 AND email_normal = $3
"""
# Of an address that must not be messaged on a channel any more, whatever else is on the list of it.
EXTEND = f"""
UPDATE suppressions SET channels = ARRAY(SELECT DISTINCT c FROM unnest(channels || $4::text) AS c ORDER BY c)
WHERE account_id = $1 AND ($2::text IS NULL OR phone = $2) AND ($3::text IS NULL OR email_normal = $3)
  AND channels <> '{{}}' AND NOT $4 = ANY (channels)
RETURNING {COLUMNS}
"""
# Entries that opt-outs made, and they alone: another is the account's to take off.
LOCK_BY_REASON = f"""
SELECT {COLUMNS} FROM suppressions
WHERE account_id = $1 AND ($2::text IS NULL OR phone = $2) AND ($3::text IS NULL OR email_normal = $3)
  AND reason = $5 AND $4 = ANY (channels)
FOR UPDATE
"""
SET_CHANNELS = f"""
UPDATE suppressions SET channels = $3 WHERE account_id = $1 AND id = $2 RETURNING {COLUMNS}
"""
PAGE = f"""
SELECT {COLUMNS} FROM suppressions WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""
DELETE = f"DELETE FROM suppressions WHERE account_id = $1 AND id = $2 RETURNING {COLUMNS}"

# $2 whether a contact was meant, $3 its id (null: it cannot be one, or none was meant), $4 addresses, $5 their hashes,
# $6 the channel. Rows of the targets that may be refused for what is on record: of most there is nothing.
# Of a named contact that said nothing of the channel, what others with the same address said holds: opt-outs are the
# address's, and a file can make another contact with an email that opted out.
STANDING = """
SELECT * FROM (
  SELECT t.position, t.named,
         coalesce(contact.{column} = t.address, false) AS has_address,
         coalesce(CASE WHEN t.contact_id IS NULL THEN bearers.do_not_disturb ELSE contact.do_not_disturb END, false)
             AS do_not_disturb,
         coalesce(CASE WHEN t.contact_id IS NULL THEN bearers.opted_out
                       ELSE contact.preferences ->> $6 = 'opted_out'
                            OR coalesce(contact.preferences ->> $6, 'unknown') = 'unknown' AND bearers.opted_out
                       END, false) AS opted_out,
         coalesce(CASE WHEN t.contact_id IS NULL THEN bearers.opted_in
                       ELSE contact.preferences ->> $6 = 'opted_in' END, false) AS opted_in,
         coalesce((SELECT r.require_opt_in FROM consent_rules AS r WHERE r.account_id = $1), false) AS opt_in_required,
         EXISTS (SELECT FROM suppressions AS s
                 WHERE s.account_id = $1 AND s.{column} = t.address
                 AND (s.channels = '{{}}' OR $6 = ANY(s.channels)))
             OR EXISTS (SELECT FROM suppressions AS s
                        WHERE s.account_id = $1 AND s.address_hash = t.hash
                        AND (s.channels = '{{}}' OR $6 = ANY(s.channels))) AS suppressed
  FROM unnest($2::boolean[], $3::uuid[], $4::text[], $5::bytea[]) WITH ORDINALITY
      AS t(named, contact_id, address, hash, position)
  LEFT JOIN contacts AS contact ON contact.account_id = $1 AND contact.id = t.contact_id
  LEFT JOIN LATERAL (
      SELECT bool_or(c.do_not_disturb) AS do_not_disturb, bool_or(c.preferences ->> $6 = 'opted_out') AS opted_out,
             bool_or(c.preferences ->> $6 = 'opted_in') AS opted_in
      FROM contacts AS c WHERE {bearers}c.account_id = $1 AND c.{column} = t.address
  ) AS bearers ON true
) AS s
WHERE named AND NOT has_address OR do_not_disturb OR opted_out OR opt_in_required OR suppressed
"""
# A phone has one contact; several may share an email.
STANDING_BY_PHONE = STANDING.format(column="phone", bearers="t.contact_id IS NULL AND ")
STANDING_BY_EMAIL = STANDING.format(column="email_normal", bearers="")


class Target(NamedTuple):
    """`named`: a contact was meant; `contact_id` is None where its id cannot be one."""

    named: bool
    contact_id: UUID | None
    # Folded.
    address: str
    # As of a deleted contact's address: see erasure.hashing.
    hash: bytes


async def insert(tx: WriteTx, account: AccountId, new: Suppression) -> bool:
    """False where the address is on the list already."""
    added = await tx.fetchval(
        INSERT, account, new.id, new.phone, new.email, new.email_normal, new.channels, new.reason, new.created_at
    )
    return added is not None


async def holder(tx: ReadTx, account: AccountId, wanted: Suppression) -> UUID | None:
    """The entry that has the same address."""
    found: UUID | None = await tx.fetchval(HOLDER, account, wanted.phone, wanted.email_normal)
    return found


async def extend(
    tx: WriteTx, account: AccountId, *, phone: str | None, email_normal: str | None, channel: str
) -> Suppression | None:
    """The entry of the address for this channel too; None where it is so already."""
    row = await tx.fetchrow(EXTEND, account, phone, email_normal, channel)
    return None if row is None else Suppression(*row)


async def lock_by_reason(
    tx: WriteTx, account: AccountId, *, phone: str | None, email_normal: str | None, channel: str, reason: str
) -> Suppression | None:
    """The entry of the address that was made for this reason and names the channel."""
    row = await tx.fetchrow(LOCK_BY_REASON, account, phone, email_normal, channel, reason)
    return None if row is None else Suppression(*row)


async def set_channels(tx: WriteTx, account: AccountId, suppression_id: UUID, channels: Sequence[str]) -> Suppression:
    row = await tx.fetchrow(SET_CHANNELS, account, suppression_id, list(channels))
    assert row is not None
    return Suppression(*row)


async def page(tx: ReadTx, account: AccountId, *, before: UUID | None, limit: int) -> list[Suppression]:
    """Newest first, from below the id `before`."""
    return [Suppression(*row) for row in await tx.fetch(PAGE, account, before, limit)]


async def delete(tx: WriteTx, account: AccountId, suppression_id: UUID) -> Suppression | None:
    row = await tx.fetchrow(DELETE, account, suppression_id)
    return None if row is None else Suppression(*row)


async def standings(
    db: Database, account: AccountId, targets: Sequence[Target], *, channel: str, by_email: bool
) -> dict[int, Standing]:
    """What is on record about those that may be refused for it, by the place in the list."""
    if not targets:
        return {}
    columns = map(list, zip(*targets, strict=True))
    rows = await db.rows(account, STANDING_BY_EMAIL if by_email else STANDING_BY_PHONE, *columns, channel)
    return {position - 1: Standing(*standing) for position, *standing in rows}
