"""The queries that erase contacts: what they leave in this database is tombstones, keyed hashes and nothing of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson

from chassis import ids
from chassis.db import WriteTx
from chassis.ids import AccountId
from services.contacts import repository as contacts
from services.contacts.domain.contact import EMAIL_CHANNELS, PHONE_CHANNELS
from services.contacts.erasure.hashing import AddressHash
from services.contacts.erasure.record import Channels, Doomed, Erased, joined, kept_optouts

OPTED_OUT = "The contact opted out before it was deleted."

# In the order of ids, as everybody who locks several does. $3: the version demanded, null for any.
LOCK = """
SELECT id, phone, email, email_normal, preferences, do_not_disturb FROM contacts
WHERE account_id = $1 AND id = ANY($2::uuid[]) AND ($3::bigint IS NULL OR version = $3) ORDER BY id FOR UPDATE
"""
FORGET = """
WITH o AS (DELETE FROM optouts WHERE account_id = $1 AND contact_id = ANY($2::uuid[])),
     a AS (DELETE FROM activity WHERE account_id = $1 AND contact_id = ANY($2::uuid[])),
     r AS (DELETE FROM replies WHERE account_id = $1 AND contact_id = ANY($2::uuid[]))
DELETE FROM messages WHERE account_id = $1 AND contact_id = ANY($2::uuid[])
"""
# Evidence stays, under the hash of the address instead of the contact, and without what was said. See migration 0011.
ERASE_CONSENTS = "SELECT erase_consents($1, $2::uuid[], $3::bytea[], $4::bytea[])"
# Entries of the do-not-contact list that name an address of theirs.
TAKE_SUPPRESSIONS = """
DELETE FROM suppressions WHERE account_id = $1 AND (phone = ANY($2::text[]) OR email_normal = ANY($3::text[]))
RETURNING id, phone, email_normal, channels
"""
# What two entries refuse together; no channel is every channel.
KEEP_SUPPRESSIONS = """
INSERT INTO suppressions AS s (account_id, id, address_hash, channels, reason, created_at)
SELECT $1, kept.id, kept.hash, string_to_array(kept.channels, ','), kept.reason, $6
FROM unnest($2::uuid[], $3::bytea[], $4::text[], $5::text[]) AS kept(id, hash, channels, reason)
ON CONFLICT (account_id, address_hash) DO UPDATE SET channels =
    CASE WHEN s.channels = '{}' OR excluded.channels = '{}' THEN '{}'
         ELSE ARRAY(SELECT unnest(s.channels) UNION SELECT unnest(excluded.channels) ORDER BY 1) END,
    reason = CASE WHEN excluded.reason = '' THEN '' ELSE s.reason END
"""
# Of opt-outs alone: an entry of the do-not-contact list is the account's to take off.
LIFT = f"""
WITH kept AS (
    SELECT id, ARRAY(SELECT unnest(channels) EXCEPT SELECT unnest($3::text[]) ORDER BY 1) AS left FROM suppressions
    WHERE account_id = $1 AND address_hash = $2 AND reason = '{OPTED_OUT}' AND channels <> '{{}}' FOR UPDATE
), lifted AS (
    DELETE FROM suppressions AS s USING kept WHERE s.account_id = $1 AND s.id = kept.id AND kept.left = '{{}}'
)
UPDATE suppressions AS s SET channels = kept.left FROM kept
WHERE s.account_id = $1 AND s.id = kept.id AND kept.left <> '{{}}'
"""


async def erase(
    tx: WriteTx,
    account: AccountId,
    wanted: Iterable[UUID],
    *,
    hashes: AddressHash,
    if_version: int | None,
    at: datetime,
) -> list[Erased]:
    """Those of the contacts that were there, and have the version demanded where there is one."""
    doomed = await lock(tx, account, list(wanted), hashes=hashes, if_version=if_version)
    if not doomed:
        return []
    by_id = {contact.id: contact for contact in doomed}
    gone = await contacts.delete(tx, account, by_id, if_version=None, at=at)
    await tx.execute(FORGET, account, list(by_id))
    await tx.execute(
        ERASE_CONSENTS,
        account,
        list(by_id),
        [contact.phone_hash for contact in doomed],
        [contact.email_hash for contact in doomed],
    )
    await hash_suppressions(tx, account, doomed, hashes=hashes, at=at)
    return [Erased(by_id[contact_id], version) for contact_id, version in gone]


async def lock(
    tx: WriteTx, account: AccountId, wanted: Sequence[UUID], *, hashes: AddressHash, if_version: int | None
) -> list[Doomed]:
    def hashed(address: str | None, *, by_email: bool) -> bytes | None:
        return None if address is None else hashes.of(account, address, by_email=by_email)

    return [
        Doomed(
            id=row["id"],
            phone=row["phone"],
            email=row["email"],
            email_normal=row["email_normal"],
            phone_hash=hashed(row["phone"], by_email=False),
            email_hash=hashed(row["email_normal"], by_email=True),
            opted_out=refused(row["preferences"], do_not_disturb=row["do_not_disturb"]),
        )
        for row in await tx.fetch(LOCK, account, wanted, if_version)
    ]


def refused(preferences: str, *, do_not_disturb: bool) -> Channels:
    """The channels on which the contact does not want to be messaged."""
    if do_not_disturb:
        return frozenset((*PHONE_CHANNELS, *EMAIL_CHANNELS))
    said: Mapping[str, str] = orjson.loads(preferences)
    return frozenset(channel for channel, preference in said.items() if preference == "opted_out")


async def hash_suppressions(
    tx: WriteTx, account: AccountId, doomed: Sequence[Doomed], *, hashes: AddressHash, at: datetime
) -> None:
    """Opt-outs live on, and entries of the do-not-contact list stay in force, without the address."""
    phones = [contact.phone for contact in doomed if contact.phone is not None]
    emails = [contact.email_normal for contact in doomed if contact.email_normal is not None]
    kept = kept_optouts(doomed)
    public: dict[bytes, UUID] = {}
    for row in await tx.fetch(TAKE_SUPPRESSIONS, account, phones, emails):
        address = row["phone"] or row["email_normal"]
        digest = hashes.of(account, address, by_email=row["phone"] is None)
        kept[digest] = joined(kept.get(digest), frozenset(row["channels"]))
        # Whoever knows the entry by its id can still take it off.
        public[digest] = row["id"]
    if kept:
        await tx.execute(
            KEEP_SUPPRESSIONS,
            account,
            [public.get(digest) or ids.new() for digest in kept],
            list(kept),
            [",".join(sorted(channels)) for channels in kept.values()],
            ["" if digest in public else OPTED_OUT for digest in kept],
            at,
        )


async def lift(tx: WriteTx, account: AccountId, digest: bytes, channels: Sequence[str]) -> None:
    """The owner of the address opts in again: opt-outs that outlived an earlier contact end on these channels."""
    await tx.execute(LIFT, account, digest, channels)
