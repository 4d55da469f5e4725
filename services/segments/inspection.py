"""What is stored of contacts against what it should be, by their snapshots and the rules.

Membership, its projection and the clock's index are written in one transaction, so that one look finds nothing on a
healthy system, however busy: a look in one snapshot of the database, or one under the contacts' locks. Builds that are
still being filled are left to their filling, and contacts whose time has come to the clock's loop.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from chassis.db import ReadTx
from services.segments import due, engagement, membership, projection
from services.segments.contact_facts import engagement_facts
from services.segments.domain.batch import Batch
from services.segments.domain.facts import Facts
from services.segments.domain.matcher import differences
from services.segments.evaluation import steps_of, stored_masks
from services.segments.membership import Steps
from services.segments.projection import ContactVersion
from services.segments.rulebooks import Rulebook


@dataclass(frozen=True, slots=True)
class Findings:
    # Contacts whose columns are not what their snapshot says.
    columns: frozenset[UUID]
    # That take membership to where it should be.
    steps: Sequence[Steps]
    # When to look at contacts that would be looked at too late.
    due: Mapping[UUID, int]

    @property
    def contacts(self) -> frozenset[UUID]:
        moved = (who.contact_id for step in self.steps for who in (*step.joined, *step.left))
        return self.columns.union(moved, self.due)


async def inspect(
    tx: ReadTx, account: UUID, *, book: Rulebook, contacts: Sequence[ContactVersion], clock: Callable[[], int]
) -> Findings:
    """contacts: of `projection.stored`. tx: REPEATABLE READ, or the contacts' rows are locked; book: as it shows there.

    clock: asked once everything is read, so that nothing read is later.
    """
    wanted = [contact.contact_id for contact in contacts]
    columns = await projection.differing(tx, account, contacts)
    if not len(book.rules):
        return Findings(columns, [], {})
    facts = await facts_with_engagement(tx, account, book=book, contacts=contacts)
    stored = await membership.stored(tx, account, wanted)
    watched = await due.of(tx, account, wanted) if len(book.rules.relative) else {}
    now = clock()
    settled = mask(contacts, lambda contact: watched.get(contact.contact_id, now + 1) > now)
    alive = mask(contacts, lambda contact: not contact.deleted)
    before = stored_masks(book, book.rules, contacts, stored)
    after = book.rules.match(Batch(facts, now))
    found = differences(
        {entry: matched & alive & settled for entry, matched in after.items()},
        {entry: members & settled for entry, members in before.items()},
    )
    steps = [steps_of(book.entries[one.key], one, contacts) for one in found if book.entries[one.key].visible]
    return Findings(columns, steps, too_late(book, contacts, facts, watched=watched, now=now))


async def facts_with_engagement(
    tx: ReadTx, account: UUID, *, book: Rulebook, contacts: Sequence[ContactVersion]
) -> list[Facts]:
    if not book.rules.reads_engagement:
        return [contact.facts for contact in contacts]
    alive = [contact.contact_id for contact in contacts if not contact.deleted]
    known = await engagement.of(tx, account, alive)
    return [
        {**contact.facts, **engagement_facts(known[contact.contact_id])}
        if contact.contact_id in known
        else contact.facts
        for contact in contacts
    ]


def mask(contacts: Sequence[ContactVersion], holds: Callable[[ContactVersion], bool]) -> int:
    return sum(1 << place for place, contact in enumerate(contacts) if holds(contact))


def too_late(
    book: Rulebook, contacts: Sequence[ContactVersion], facts: Sequence[Facts], *, watched: Mapping[UUID, int], now: int
) -> dict[UUID, int]:
    """The next flip of the contacts that are not watched until then, or only later. Early ones do no harm."""
    relative = book.rules.relative
    if not len(relative) or not all(book.entries[place].visible for place in relative.keys):
        return {}
    flips = relative.flips(Batch(facts, now))
    return {
        contact.contact_id: flip
        for contact, flip in zip(contacts, flips, strict=True)
        if flip is not None and not contact.deleted and watched.get(contact.contact_id, flip + 1) > flip
    }
