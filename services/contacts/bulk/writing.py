"""One change written to many contacts in one transaction: a statement a table, whatever their number."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from chassis.db import WriteTx
from chassis.ids import AccountId
from services.contacts import events, repository, snapshot
from services.contacts.domain import change as rules
from services.contacts.domain.change import Change
from services.contacts.domain.contact import Contact, changed_fields
from services.contacts.domain.problems import Problem, Refused
from services.contacts.lists import memberships

# What domain.change.apply says, for the rows that it changed.
UPDATE = """
UPDATE contacts AS c SET
    tags = ARRAY(SELECT tag FROM unnest(c.tags) WITH ORDINALITY AS t(tag, n) WHERE tag <> ALL($5) ORDER BY n)
        || ARRAY(SELECT tag FROM unnest($4::text[]) WITH ORDINALITY AS t(tag, n) WHERE tag <> ALL(c.tags) ORDER BY n),
    list_ids = ARRAY(SELECT id FROM unnest(c.list_ids) WITH ORDINALITY AS l(id, n) WHERE id <> ALL($7) ORDER BY n)
        || ARRAY(SELECT id FROM unnest($6::uuid[]) WITH ORDINALITY AS l(id, n) WHERE id <> ALL(c.list_ids) ORDER BY n),
    version = c.version + 1,
    updated_at = greatest($3, c.updated_at)
WHERE c.account_id = $1 AND c.id = ANY($2::uuid[])
"""
TAG = """
INSERT INTO contact_tags (account_id, tag, contact_id)
SELECT $1, tag, contact_id FROM unnest($2::uuid[]) AS contact_id, unnest($3::text[]) AS tag
ON CONFLICT DO NOTHING
"""
UNTAG = """
DELETE FROM contact_tags AS t USING unnest($2::uuid[]) AS changed, unnest($3::text[]) AS gone
WHERE t.account_id = $1 AND t.tag = gone AND t.contact_id = changed
"""


class ListsGone(Exception):
    """Lists that the change names are not there; nothing of this transaction may stay."""

    def __init__(self, missing: set[UUID]) -> None:
        super().__init__(f"{len(missing)} lists are gone")
        self.missing = missing


@dataclass(slots=True)
class Written:
    """What a change did: each contact found is changed, unchanged or failed."""

    changed: list[Contact] = field(default_factory=list)
    unchanged: int = 0
    found: set[UUID] = field(default_factory=set)
    failed: list[tuple[UUID, Problem]] = field(default_factory=list)
    # Pairs of a contact and a list that came and went.
    joined: int = 0
    left: int = 0


async def write(
    tx: WriteTx, account: AccountId, ids: Collection[UUID], *, change: Change, bulk: bool | None = None
) -> Written:
    """Changes those of the contacts that are there, with their events. bulk: their lane; by their number where None.

    Raises ListsGone.
    """
    locked = await repository.lock_many(tx, account, ids)
    missing = change.lists - await memberships.lock(tx, account, change.lists)
    if missing:
        raise ListsGone(missing)
    return await write_locked(tx, account, locked, change=change, bulk=bulk)


async def write_locked(
    tx: WriteTx, account: AccountId, locked: Iterable[Contact], *, change: Change, bulk: bool | None = None
) -> Written:
    """The same for contacts, and after them lists, that the caller holds."""
    now = datetime.now(UTC)
    written = Written()
    told: list[bytes] = []
    came: list[memberships.Pair] = []
    went: list[memberships.Pair] = []
    for before in locked:
        written.found.add(before.id)
        try:
            after = rules.apply(before, change)
        except Refused as refused:
            written.failed.append((before.id, refused.problems[0]))
            continue
        changed = changed_fields(before, after)
        if not changed:
            written.unchanged += 1
            continue
        after.version, after.updated_at = before.version + 1, max(now, before.updated_at)
        came += [(list_id, after.id) for list_id in after.list_ids if list_id not in before.list_ids]
        went += [(list_id, after.id) for list_id in before.list_ids if list_id not in after.list_ids]
        told.append(snapshot.change(after, [*changed, "updated_at"]))
        written.changed.append(after)
    written.joined, written.left = len(came), len(went)
    if written.changed:
        await update(tx, account, [contact.id for contact in written.changed], change=change, at=now)
        await memberships.remove(tx, account, went)
        await memberships.add(tx, account, came, at=now)
        in_bulk = len(told) > 1 if bulk is None else bulk
        tx.add_events(events.contacts_changed("contact.updated", account, told, bulk=in_bulk))
    return written


async def update(tx: WriteTx, account: AccountId, ids: list[UUID], *, change: Change, at: datetime) -> None:
    await tx.execute(
        UPDATE, account, ids, at, change.add_tags, change.remove_tags, change.add_lists, change.remove_lists
    )
    if change.remove_tags:
        await tx.execute(UNTAG, account, ids, change.remove_tags)
    if change.add_tags:
        await tx.execute(TAG, account, ids, change.add_tags)
