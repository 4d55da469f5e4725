"""The queries that take a deleted contact off the ledger: its lines stay, with their states, and say nobody's name.

An address becomes `erased:` and a keyed hash, which the contacts service made; where it is one that the contact no
longer had, `erased:` and the line's own id. Contacts refuses both, so that a line that is still pending is skipped.

An audience that is being written may have lines of the contact that are not there yet: contacts was asked about them
before it was deleted. Their writer hears of it by the number of erasures, and asks again.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from chassis.db import WriteTx

ERASED = "erased:"

# Waits for the lines that are being written under the lock of the run, so that what follows finds them.
MEET_FREEZERS = """
UPDATE runs AS r SET erasures = r.erasures + 1
FROM (
  SELECT r.campaign_id FROM campaigns AS c JOIN runs AS r ON r.account_id = c.account_id AND r.campaign_id = c.id
  WHERE c.account_id = $1 AND c.freezing ORDER BY r.campaign_id FOR UPDATE OF r
) AS held
WHERE r.account_id = $1 AND r.campaign_id = held.campaign_id
"""
# Locked in one order by all: see repository.receipts.
LOCK = """
SELECT r.id, r.address FROM recipients AS r
WHERE r.account_id = $1 AND NOT starts_with(r.address, 'erased:')
AND (r.contact_id = ANY($2::uuid[]) OR (r.contact_id IS NULL AND r.address = ANY($3::text[])))
ORDER BY r.id FOR UPDATE
"""
BLANK = """
UPDATE recipients AS r SET address = k.address, variables = '{}'
FROM unnest($2::uuid[], $3::text[]) AS k (id, address) WHERE r.account_id = $1 AND r.id = k.id
"""
DROP = (
    "DELETE FROM upload_rows WHERE account_id = $1 AND address = ANY($2::text[])",
    "DELETE FROM excluded_addresses WHERE account_id = $1 AND address = ANY($2::text[])",
    # What contacts has not heard yet is for it to forget, and an opt-out is not to be lost.
    "DELETE FROM inbound WHERE account_id = $1 AND address = ANY($2::text[]) AND done_at IS NOT NULL",
)


async def erase(tx: WriteTx, contacts: Sequence[UUID], hashes: Mapping[str, bytes]) -> None:
    """hashes: by the addresses that the contacts had. What was erased before stays as it is."""
    addresses = list(hashes)
    await tx.execute(MEET_FREEZERS, tx.account)
    rows = await tx.fetch(LOCK, tx.account, contacts, addresses)
    if rows:
        blank = [erased(row["id"], hashes.get(row["address"])) for row in rows]
        await tx.execute(BLANK, tx.account, [row["id"] for row in rows], blank)
    for statement in DROP:
        await tx.execute(statement, tx.account, addresses)


def erased(recipient: UUID, digest: bytes | None) -> str:
    return ERASED + (str(recipient) if digest is None else digest.hex())
