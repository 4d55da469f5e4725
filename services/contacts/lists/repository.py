"""The queries on lists and on who is on them. Each names the account, also where the policy would."""

from uuid import UUID

from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.contacts.domain.contact import Contact
from services.contacts.lists.record import ContactList
from services.contacts.repository import SELECTED, contact

COLUMNS = "id, name, description, member_count, version, created_at, updated_at"

INSERT = """
INSERT INTO lists (account_id, id, name, description, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
"""
GET = f"SELECT {COLUMNS} FROM lists WHERE account_id = $1 AND id = $2"
LOCK = GET + " FOR UPDATE"
PAGE = f"""
SELECT {COLUMNS} FROM lists WHERE account_id = $1 AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC OFFSET $4 LIMIT $3
"""
COUNT = "SELECT count(*) FROM lists WHERE account_id = $1"
UPDATE = """
UPDATE lists SET name = $3, description = $4, version = $5, updated_at = $6 WHERE account_id = $1 AND id = $2
"""
DELETE = "DELETE FROM lists WHERE account_id = $1 AND id = $2"
# $3: the id to go on below; the highest there is for the first page. A disjunction would lose the index range.
MEMBERS = f"""
SELECT {SELECTED} FROM contact_lists AS m JOIN contacts AS c ON c.account_id = $1 AND c.id = m.contact_id
WHERE m.account_id = $1 AND m.list_id = $2 AND m.contact_id < $3 ORDER BY m.contact_id DESC LIMIT $4
"""
MEMBER_IDS = """
SELECT contact_id FROM contact_lists WHERE account_id = $1 AND list_id = $2 AND contact_id < $3
ORDER BY contact_id DESC OFFSET $5 LIMIT $4
"""
HIGHEST = UUID(int=(1 << 128) - 1)


async def insert(tx: WriteTx, account: AccountId, new: ContactList) -> None:
    await tx.execute(INSERT, account, new.id, new.name, new.description, new.created_at)


async def get(tx: ReadTx, account: AccountId, list_id: UUID) -> ContactList | None:
    row = await tx.fetchrow(GET, account, list_id)
    return None if row is None else ContactList(*row)


async def lock(tx: WriteTx, account: AccountId, list_id: UUID) -> ContactList | None:
    """The list, held until the transaction ends. Behind the lock of contacts, where both are locked."""
    row = await tx.fetchrow(LOCK, account, list_id)
    return None if row is None else ContactList(*row)


async def page(tx: ReadTx, account: AccountId, *, before: UUID | None, skip: int, limit: int) -> list[ContactList]:
    """Newest first, from below the id `before`, without the first `skip` of them."""
    return [ContactList(*row) for row in await tx.fetch(PAGE, account, before, limit, skip)]


async def count(tx: ReadTx, account: AccountId) -> int:
    found: int = await tx.fetchval(COUNT, account)
    return found


async def update(tx: WriteTx, account: AccountId, after: ContactList) -> None:
    await tx.execute(UPDATE, account, after.id, after.name, after.description, after.version, after.updated_at)


async def delete(tx: WriteTx, account: AccountId, list_id: UUID) -> None:
    """The list alone; its members are the caller's to take off."""
    await tx.execute(DELETE, account, list_id)


async def members(tx: ReadTx, account: AccountId, list_id: UUID, *, before: UUID | None, limit: int) -> list[Contact]:
    """In descending order of contact ids, from below `before`."""
    return [contact(row) for row in await tx.fetch(MEMBERS, account, list_id, before or HIGHEST, limit)]


async def member_ids(
    tx: ReadTx, account: AccountId, list_id: UUID, *, before: UUID | None, limit: int, skip: int = 0
) -> list[UUID]:
    """As `members`, the ids alone, without the first `skip` of them."""
    return [row[0] for row in await tx.fetch(MEMBER_IDS, account, list_id, before or HIGHEST, limit, skip)]
