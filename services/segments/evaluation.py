"""The live path: contacts that changed, against every rule of their account, in one transaction.

Lock the account shared → compare the rules' generation → project by version → match → compare with what is stored →
write the difference, the counts and the events. Comparing with what is stored makes it harmless to see an event twice
and heals whatever was wrong. A contact is skipped where nothing that a rule reads has changed since the version that
was evaluated last: the event names what changed, and the projection had exactly the version before.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from chassis.db import Database, WriteTx
from chassis.ids import AccountId
from services.segments import locks, membership, metrics, projection
from services.segments.domain.matcher import Difference, differences
from services.segments.membership import Step, Steps, Who
from services.segments.projection import ContactVersion
from services.segments.rulebooks import Entry, Rulebook, Rulebooks

# Contacts of one transaction, and so the bound on how long it holds their rows.
MAX_BATCH = 500


class Evaluator:
    """One for the process: it keeps the compiled rules."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._rulebooks = Rulebooks()

    async def apply(self, account: AccountId, contacts: Sequence[ContactVersion], *, bulk: bool) -> None:
        """contacts: up to MAX_BATCH, each once. bulk: the events go out in the bulk lane."""
        lane = "bulk" if bulk else "live"
        async with self._db.write(account) as tx:
            await locks.share(tx, account)
            book = await self._rulebooks.current(tx, account)
            written = await projection.upsert(tx, contacts)
            due = [contact for contact in contacts if contact.contact_id in written]
            affected = [contact for contact in due if concerns(book, contact, written[contact.contact_id])]
            steps = await evaluate(tx, book, affected) if affected else []
            await write(tx, steps, bulk=bulk)
        metrics.EVALUATED.labels(lane, "known").inc(len(contacts) - len(due))
        metrics.EVALUATED.labels(lane, "unread").inc(len(due) - len(affected))
        metrics.EVALUATED.labels(lane, "evaluated").inc(len(affected))
        metrics.STEPS.labels(lane).inc(sum(len(step.joined) + len(step.left) for step in steps))


def concerns(book: Rulebook, contact: ContactVersion, version_before: int | None) -> bool:
    """Whether any rule may see the contact differently than when it was evaluated last."""
    if not book.entries:
        return False
    if contact.changed is None or version_before is None or version_before != contact.version - 1:
        return True
    return not contact.changed.isdisjoint(book.rules.reads)


async def evaluate(tx: WriteTx, book: Rulebook, contacts: Sequence[ContactVersion]) -> list[Steps]:
    """The steps that take the stored membership to what the rules say."""
    before = stored_masks(book, contacts, await membership.stored(tx, tx.account, [c.contact_id for c in contacts]))
    started = time.perf_counter()
    matched = book.rules.match([contact.facts for contact in contacts])
    metrics.MATCH_SECONDS.observe(time.perf_counter() - started)
    alive = sum(1 << place for place, contact in enumerate(contacts) if not contact.deleted)
    now = {entry: mask & alive for entry, mask in matched.items()}
    return [steps_of(book.entries[found.key], found, contacts) for found in differences(now, before)]


def stored_masks(book: Rulebook, contacts: Sequence[ContactVersion], rows: Sequence[asyncpg.Record]) -> dict[int, int]:
    """Stored membership in the matcher's form. Builds that are not evaluated any more are left out."""
    bits = {contact.contact_id: 1 << place for place, contact in enumerate(contacts)}
    masks: dict[int, int] = {}
    for build, contact in rows:
        entry = book.places.get(build)
        if entry is not None:
            masks[entry] = masks.get(entry, 0) | bits[contact]
    return masks


def steps_of(entry: Entry, found: Difference[int], contacts: Sequence[ContactVersion]) -> Steps:
    joined = [who(contacts[place]) for place in found.joined]
    return Steps(entry, joined, [who(contacts[place]) for place in found.left])


def who(contact: ContactVersion) -> Who:
    return Who(contact.contact_id, contact.public_id)


async def write(tx: WriteTx, steps: Sequence[Steps], *, bulk: bool) -> None:
    """The steps, their counts and their events."""
    if not steps:
        return
    at = datetime.now(UTC)
    revisions = await membership.write(tx, steps, at=at)
    for step, revision in zip(steps, revisions, strict=True):
        if step.entry.visible:
            told = [Step(w.public_id, at, joined=True) for w in step.joined]
            told += [Step(w.public_id, at, joined=False) for w in step.left]
            membership.tell(tx, step.entry.segment, told, revision=revision, bulk=bulk)


def highest_versions(contacts: Sequence[ContactVersion]) -> list[ContactVersion]:
    """Each contact once. One that occurs several times no longer says what changed, for some of it is left out."""
    kept: dict[UUID, ContactVersion] = {}
    for contact in contacts:
        known = kept.get(contact.contact_id)
        if known is None:
            kept[contact.contact_id] = contact
        elif contact.version != known.version:
            newer = max(known, contact, key=lambda c: c.version)
            kept[contact.contact_id] = newer._replace(changed=None)
    return list(kept.values())
