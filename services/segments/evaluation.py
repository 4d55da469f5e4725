"""Contacts against the rules of their account, in one transaction: when they change, when messages to them do, and
when the clock says so.

Lock the account shared → compare the rules' generation → lock the contacts, writing what is new of them → match →
compare with what is stored → write the difference, the counts and the events, and when the clock may say so next.
Comparing with what is stored makes it harmless to see an event twice and heals whatever was wrong. Only rules that read
what changed are matched: the event names it, and the projection had exactly the version before.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from chassis.db import Database, ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments import contact_facts, due, engagement, locks, membership, metrics, projection
from services.segments.domain.batch import Batch
from services.segments.domain.fields import EVERY_VERSION
from services.segments.domain.matcher import Difference, RuleSet, differences
from services.segments.engagement import Engaged
from services.segments.membership import Steps, Telling
from services.segments.projection import ContactVersion
from services.segments.rulebooks import Entry, Rulebook, Rulebooks

# Contacts of one transaction, and so the bound on how long it holds their rows. Half as many cost a tenth more each:
# they touch nearly as many of an account's segments.
MAX_BATCH = 1_000


class Evaluator:
    """One for the process: it keeps the compiled rules."""

    def __init__(self, db: Database, *, clock: Callable[[], int] = contact_facts.now_micros) -> None:
        """clock: microseconds since 1970."""
        self._db = db
        self._rulebooks = Rulebooks()
        self._clock = clock

    async def apply(self, account: AccountId, contacts: Sequence[ContactVersion], *, bulk: bool) -> int:
        """Contacts that events tell of: up to MAX_BATCH, each once. bulk: the events go out in the bulk lane.

        Returns how many were new.
        """
        lane = "bulk" if bulk else "live"
        async with self._db.write(account) as tx:
            await locks.share(tx, account)
            book = await self._rulebooks.current(tx, account)
            written = await projection.upsert(tx, contacts)
            new = [contact for contact in contacts if contact.contact_id in written]
            changes = [changed_since(contact, written[contact.contact_id]) for contact in new]
            affected = [one for one, changed in zip(new, changes, strict=True) if concerns(book, changed)]
            rules = book.rules.reading(union(changes)) if None not in changes else book.rules
            steps = await self._evaluate(tx, book, rules, affected)
            await self._forget(tx, [contact.contact_id for contact in new if contact.deleted])
            await write(tx, steps, bulk=bulk)
        metrics.EVALUATED.labels(lane, "known").inc(len(contacts) - len(new))
        metrics.EVALUATED.labels(lane, "unread").inc(len(new) - len(affected))
        metrics.EVALUATED.labels(lane, "evaluated").inc(len(affected))
        count_steps(lane, steps)
        return len(new)

    async def engage(self, account: AccountId, engaged: Sequence[Engaged], *, bulk: bool) -> None:
        """What became of messages: of up to MAX_BATCH contacts, each once."""
        lane = "bulk" if bulk else "live"
        async with self._db.write(account) as tx:
            await locks.share(tx, account)
            book = await self._rulebooks.current(tx, account)
            contacts = await projection.hold(tx, [one.contact_id for one in engaged])
            gone = {contact.contact_id for contact in contacts if contact.deleted and contact.version}
            moved = await engagement.record(tx, [one for one in engaged if one.contact_id not in gone])
            rules = book.rules.reading(engagement.FIELDS)
            affected = [one for one in contacts if one.contact_id in moved and not one.deleted]
            steps = await self._evaluate(tx, book, rules, affected)
            await write(tx, steps, bulk=bulk)
        count_steps(lane, steps)

    async def flip(self, account: AccountId, contacts: Sequence[UUID]) -> int:
        """Contacts whose time has come. Returns how many there were, without those that somebody else is at."""
        async with self._db.write(account) as tx:
            await locks.share(tx, account)
            book = await self._rulebooks.current(tx, account)
            held = await projection.hold_free(tx, contacts)
            ready = await due.still(tx, [contact.contact_id for contact in held], now=self._clock())
            affected = [contact for contact in held if contact.contact_id in ready]
            steps = await self._evaluate(tx, book, book.rules.relative, affected)
            if not len(book.rules.relative):
                await due.forget(tx, list(ready))
            await write(tx, steps, bulk=len(affected) > 1)
        count_steps("clock", steps)
        return len(affected)

    async def book(self, tx: ReadTx, account: AccountId) -> Rulebook:
        """The rules, for reconciliation: as they stand in the transaction's snapshot, or under the account's lock."""
        return await self._rulebooks.current(tx, account)

    def now(self) -> int:
        return self._clock()

    async def _evaluate(
        self, tx: WriteTx, book: Rulebook, rules: RuleSet[int], contacts: Sequence[ContactVersion]
    ) -> list[Steps]:
        """The steps that take the stored membership of the rules to what they say; and when to look again."""
        if not contacts or not len(rules):
            return []
        if book.rules.reads_engagement:
            contacts = await engagement.join(tx, contacts)
        batch = Batch([contact.facts for contact in contacts], self._clock())
        # Where no rule that the clock moves reads what changed, the clock's next moment is what it was.
        if len(rules.relative):
            every = len(rules.relative) == len(book.rules.relative)
            await watch(tx, book.rules.relative, contacts, batch, every=every)
        stored = await membership.stored(tx, tx.account, [contact.contact_id for contact in contacts])
        before = stored_masks(book, rules, contacts, stored)
        started = time.perf_counter()
        matched = rules.match(batch)
        metrics.MATCH_SECONDS.observe(time.perf_counter() - started)
        alive = sum(1 << place for place, contact in enumerate(contacts) if not contact.deleted)
        after = {entry: mask & alive for entry, mask in matched.items()}
        return [steps_of(book.entries[found.key], found, contacts) for found in differences(after, before)]

    async def _forget(self, tx: WriteTx, contacts: Sequence[UUID]) -> None:
        """What is kept of contacts that are gone, besides membership and tombstone."""
        if contacts:
            await engagement.forget(tx, contacts)
            await due.forget(tx, contacts)


def changed_since(contact: ContactVersion, before: int | None) -> frozenset[str] | None:
    """The fields that may differ from those evaluated last, at version `before`; None where any may."""
    if contact.changed is None or before is None or before != contact.version - 1:
        return None
    return contact.changed | {EVERY_VERSION}


def concerns(book: Rulebook, changed: frozenset[str] | None) -> bool:
    """Whether any rule may see the contact differently than when it was evaluated last."""
    return bool(book.entries) and (changed is None or not changed.isdisjoint(book.rules.reads))


def union(changes: Iterable[frozenset[str] | None]) -> frozenset[str]:
    return frozenset().union(*(changed for changed in changes if changed is not None))


async def watch(
    tx: WriteTx, relative: RuleSet[int], contacts: Sequence[ContactVersion], batch: Batch, *, every: bool
) -> None:
    """Note when the clock may move the contacts next.

    every: whether all of these rules are asked about now. If not, a contact that is due stays so: it may be for one of
    the others, whose flip is before the batch's moment and would be found by nobody.
    """
    flips = zip(contacts, relative.flips(batch), strict=True)
    moments = {contact.contact_id: flip for contact, flip in flips}
    await due.put(tx, moments, unless_due_by=0 if every else batch.now)


def stored_masks(
    book: Rulebook, rules: RuleSet[int], contacts: Sequence[ContactVersion], rows: Sequence[asyncpg.Record]
) -> dict[int, int]:
    """Stored membership in the matcher's form. Builds that are not evaluated, or not now, are left out."""
    bits = {contact.contact_id: 1 << place for place, contact in enumerate(contacts)}
    masks: dict[int, int] = {}
    for build, contact in rows:
        entry = book.places.get(build)
        if entry is not None and entry in rules.keys:
            masks[entry] = masks.get(entry, 0) | bits[contact]
    return masks


def steps_of(entry: Entry, found: Difference[int], contacts: Sequence[ContactVersion]) -> Steps:
    return Steps(entry, [contacts[place] for place in found.joined], [contacts[place] for place in found.left])


async def write(tx: WriteTx, steps: Sequence[Steps], *, bulk: bool) -> None:
    """The steps, their counts and their events."""
    if not steps:
        return
    now = datetime.now(UTC)
    at = membership.timestamp(now)
    revisions = await membership.write(tx, steps, at=now)
    tellings = (
        Telling(
            step.entry.segment,
            revisions[step.entry.build],
            [(contact.public_id, at) for contact in step.joined],
            [(contact.public_id, at) for contact in step.left],
        )
        for step in steps
        if step.entry.visible
    )
    membership.tell(tx, tellings, bulk=bulk)


def count_steps(lane: str, steps: Sequence[Steps]) -> None:
    metrics.STEPS.labels(lane).inc(sum(len(step.joined) + len(step.left) for step in steps))


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
