"""The queries that read contacts for who sends to them. Each names the account, also where the policy would."""

from collections.abc import Sequence
from uuid import UUID

from chassis.db import ReadTx
from chassis.ids import AccountId
from services.contacts.domain.contact import Contact
from services.contacts.repository import SELECTED, contact

# $3: the id to go on behind; the lowest there is for the first page. A disjunction would lose the index range.
MEMBERS = f"""
SELECT {SELECTED} FROM contact_lists AS m JOIN contacts AS c ON c.account_id = $1 AND c.id = m.contact_id
WHERE m.account_id = $1 AND m.list_id = $2 AND m.contact_id > $3 ORDER BY m.contact_id LIMIT $4
"""
BY_IDS = f"SELECT {SELECTED} FROM contacts AS c WHERE c.account_id = $1 AND c.id = ANY($2::uuid[]) ORDER BY c.id"


async def members(tx: ReadTx, account: AccountId, list_id: UUID, *, after: UUID, limit: int) -> list[Contact]:
    return [contact(row) for row in await tx.fetch(MEMBERS, account, list_id, after, limit)]


async def by_ids(tx: ReadTx, account: AccountId, contact_ids: Sequence[UUID]) -> list[Contact]:
    return [contact(row) for row in await tx.fetch(BY_IDS, account, contact_ids)]
