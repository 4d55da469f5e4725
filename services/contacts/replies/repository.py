"""The queries on messages that came from contacts."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId
from services.contacts.replies.record import Heard

# Contacts that are gone get nothing behind their backs. Rows are locked in the order of ids, as by everybody.
KEEP = """
WITH told AS (
    SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::uuid[], $10::uuid[]) AS t(contact_id, id, at, channel, address, to_address, text, campaign_id, recipient_id)
), present AS (
    SELECT c.id FROM contacts AS c WHERE c.account_id = $1 AND c.id IN (SELECT contact_id FROM told)
    ORDER BY c.id FOR KEY SHARE
)
INSERT INTO replies (account_id, contact_id, id, at, channel, address, to_address, text, campaign_id, recipient_id)
SELECT $1, told.* FROM told JOIN present ON present.id = told.contact_id ORDER BY told.contact_id, told.id
ON CONFLICT DO NOTHING RETURNING id
"""
# Whose address it is, held in the order of ids.
LOCK_BEARERS = {
    "phone": "SELECT id FROM contacts WHERE account_id = $1 AND phone = $2 ORDER BY id FOR UPDATE",
    "email": "SELECT id FROM contacts WHERE account_id = $1 AND email_normal = $2 ORDER BY id FOR UPDATE",
}


async def keep(tx: WriteTx, account: AccountId, told: Sequence[tuple[UUID, Heard]]) -> set[UUID]:
    """The ids of those that were not kept before."""
    rows = await tx.fetch(
        KEEP,
        account,
        [contact for contact, _ in told],
        [heard.id for _, heard in told],
        [heard.at for _, heard in told],
        [heard.channel for _, heard in told],
        [heard.address for _, heard in told],
        [heard.to for _, heard in told],
        [heard.text for _, heard in told],
        [heard.campaign_id for _, heard in told],
        [heard.recipient_id for _, heard in told],
    )
    return {row["id"] for row in rows}


async def lock_bearers(tx: WriteTx, account: AccountId, address: str, *, by: str) -> list[UUID]:
    """Contacts that have the address. by: phone or email; emails folded."""
    return [row["id"] for row in await tx.fetch(LOCK_BEARERS[by], account, address)]
