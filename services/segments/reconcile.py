"""Puts right whatever differs between the contacts service, the projection, the rules and membership: step by step.

It should never find anything. A step looks at up to 500 contacts in order of id, or at some builds' counts, and locks
only what it repairs. Three looks:

  contact      ids and versions, against the contacts service's. A version that is missing here is no fault while its
               event may be on the way: for a grace, and longer while the consumers are behind.
  projection   columns, against the snapshot that they are made of (older code made fewer),
  membership   members and
  due          the clock's index, against what the rules say of the columns: see inspection.py
  count        of members, against the rows
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar
from uuid import UUID

import structlog
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId, encode_account
from services.segments import due, evaluation, locks, metrics, projection
from services.segments.consumers import changed, contact_uuid, deleted
from services.segments.contacts_source import ContactsSource
from services.segments.evaluation import MAX_BATCH, Evaluator
from services.segments.inspection import inspect
from services.segments.lanes import Lanes
from services.segments.projection import ContactVersion

log = structlog.get_logger()
T = TypeVar("T")

# How long an event takes at the most while everything runs.
GRACE = timedelta(minutes=2)
# After so long a version is missing, however far the consumers are behind.
PATIENCE = timedelta(hours=1)
BUILDS = 10

PROJECTED = """
SELECT contact_id, version, snapshot FROM contacts_projection
WHERE account_id = $1 AND contact_id > $2 ORDER BY contact_id LIMIT $3
"""
# Members of whom nothing else is known.
ORPHANS = """
SELECT DISTINCT m.contact_id FROM members m
WHERE m.account_id = $1 AND m.contact_id > $2 AND m.contact_id <= $3 AND NOT EXISTS (
    SELECT FROM contacts_projection p WHERE p.account_id = $1 AND p.contact_id = m.contact_id)
ORDER BY m.contact_id LIMIT $4
"""
# In one statement, and so of one moment: a count commits with its rows.
COUNTED = """
SELECT b.id, b.members <> (
    SELECT count(*) FROM members m WHERE m.account_id = $1 AND m.build_id = b.id) AS wrong
FROM builds b
WHERE b.account_id = $1 AND b.id > $2 AND b.state IN ('building', 'announcing', 'serving') ORDER BY b.id LIMIT $3
"""
# Whoever writes members holds the build's row until the commit.
LOCK_BUILD = "SELECT FROM builds WHERE account_id = $1 AND id = $2 FOR NO KEY UPDATE"
RECOUNT = """
UPDATE builds SET members = counted.members
FROM (SELECT count(*) AS members FROM members WHERE account_id = $1 AND build_id = $2) AS counted
WHERE account_id = $1 AND id = $2 AND builds.members <> counted.members
"""


class Place(NamedTuple):
    """How far a pass is: first over the contacts, then over the builds."""

    counting: bool = False
    # The last one that is done; None at the beginning.
    position: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    # None: the pass is over.
    following: Place | None
    contacts: int = 0
    # By what: see the top.
    repaired: Counter[str] = field(default_factory=Counter)
    # Versions that are not here yet, and may be on the way.
    awaited: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """A stretch of contacts, up to `end`, as they were there and are here."""

    end: UUID
    # Whether nothing lies behind it.
    last: bool
    own: dict[UUID, ContactVersion]
    there: dict[UUID, contacts_pb2.Contact]
    suspects: Sequence[UUID]

    @property
    def contacts(self) -> set[UUID]:
        return self.own.keys() | self.there.keys()


@dataclass(frozen=True, slots=True)
class Missed:
    """What events did not bring."""

    versions: list[ContactVersion]
    awaited: int


class Reconciler:
    def __init__(
        self,
        db: Database,
        source: ContactsSource,
        evaluator: Evaluator,
        lanes: Lanes,
        *,
        behind: Callable[[], Awaitable[bool]],
        grace: timedelta = GRACE,
    ) -> None:
        """behind: whether the consumers of contacts have much to catch up with."""
        self._db = db
        self._source = source
        self._evaluator = evaluator
        self._lanes = lanes
        self._behind = behind
        self._grace = grace

    async def step(self, account: AccountId, place: Place) -> Step:
        """Raises chassis.errors; what it repaired until then stays."""
        step = await (self._count if place.counting else self._contacts)(account, place.position or ids.LOWEST)
        metrics.RECONCILED.inc(step.contacts)
        return step

    async def _contacts(self, account: AccountId, after: UUID) -> Step:
        behind = "" if after == ids.LOWEST else ids.encode("cnt", after)
        theirs = await self._source.versions(account, after=behind, limit=MAX_BATCH)
        async with self._lanes.turn(bulk=True):
            look = await self._look(account, after, theirs)
        missed = await self._missed(account, look)
        repaired: Counter[str] = Counter()
        for versions in batches(missed.versions):
            async with self._lanes.turn(bulk=True):
                self._tell(account, repaired, contact=await self._evaluator.apply(account, versions, bulk=True))
        for suspects in batches(look.suspects):
            async with self._lanes.turn(bulk=True):
                await self._mend(account, suspects, repaired)
        following = Place(counting=True) if look.last else Place(position=look.end)
        return Step(following, len(look.contacts), repaired, missed.awaited)

    async def _look(self, account: AccountId, after: UUID, theirs: Sequence[contacts_pb2.Contact]) -> Look:
        """As far as both sides are known."""
        async with self._db.read(account, snapshot=True) as tx:
            await tx.plan_each()
            rows = await tx.fetch(PROJECTED, account, after, MAX_BATCH)
            ends = [contact_uuid(theirs[-1].id)] if len(theirs) == MAX_BATCH else []
            ends += [rows[-1]["contact_id"]] if len(rows) == MAX_BATCH else []
            end = min(ends, default=ids.HIGHEST)
            own = [projection.stored(row) for row in rows if row["contact_id"] <= end]
            there = {contact_id: one for one in theirs if (contact_id := contact_uuid(one.id)) <= end}
            orphans = await tx.fetch(ORPHANS, account, after, end, MAX_BATCH)
            book = await self._evaluator.book(tx, account)
            found = await inspect(tx, account, book=book, contacts=own, clock=self._evaluator.now)
        suspects = sorted(found.contacts.union(row["contact_id"] for row in orphans))
        return Look(end, not ends, {contact.contact_id: contact for contact in own}, there, suspects)

    async def _missed(self, account: AccountId, look: Look) -> Missed:
        older = [one for contact_id, one in look.there.items() if is_behind(look.own.get(contact_id), one.version)]
        unknown = [one for one in look.own.values() if not one.deleted and one.contact_id not in look.there]
        if not older and not unknown:
            return Missed([], 0)
        horizon = datetime.now(UTC) - (PATIENCE if await self._behind() else self._grace)
        overdue = [contact.id for contact in older if time(contact.updated_at) <= horizon]
        versions = await self._versions(account, overdue)
        gone, dying = await self._gone(account, unknown, horizon)
        return Missed(versions + gone, len(older) - len(overdue) + dying)

    async def _versions(self, account: AccountId, overdue: Sequence[str]) -> list[ContactVersion]:
        """As they are now. One that was deleted meanwhile is a matter of its own."""
        contacts, _ = await self._source.named(account, overdue) if overdue else ([], [])
        return [changed(events_pb2.ContactChange(contact=contact), created=True) for contact in contacts]

    async def _gone(
        self, account: AccountId, unknown: Sequence[ContactVersion], horizon: datetime
    ) -> tuple[list[ContactVersion], int]:
        """Those of the contacts that are no more, and how many others were deleted just now.

        They are here, so they were there: who is not there in a look made after that is gone for good.
        """
        if not unknown:
            return [], 0
        present, tombstones = await self._source.named(account, [one.public_id for one in unknown], versions_only=True)
        alive = {contact.id for contact in present}
        left = {tombstone.id: tombstone for tombstone in tombstones}
        gone, awaited = [], 0
        for one in unknown:
            tombstone = left.get(one.public_id)
            if one.public_id in alive:
                continue
            if tombstone is not None and time(tombstone.deleted_at) > horizon:
                awaited += 1
                continue
            version = max(one.version + 1, 0 if tombstone is None else tombstone.version)
            gone.append(deleted(events_pb2.ContactDeletion(id=one.public_id, version=version)))
        return gone, awaited

    async def _mend(self, account: AccountId, suspects: Sequence[UUID], repaired: Counter[str]) -> None:
        """Look again, with the contacts' rows locked, and write what is right."""
        async with self._db.write(account) as tx:
            await locks.share(tx, account)
            book = await self._evaluator.book(tx, account)
            held = await projection.hold(tx, suspects)
            found = await inspect(tx, account, book=book, contacts=held, clock=self._evaluator.now)
            wrong = [contact for contact in held if contact.contact_id in found.columns]
            if wrong:
                await projection.rewrite(tx, wrong)
            if found.due:
                await due.put_sooner(tx, found.due)
            await evaluation.write(tx, found.steps, bulk=True)
        moved = sum(len(step.joined) + len(step.left) for step in found.steps)
        self._tell(account, repaired, projection=len(wrong), membership=moved, due=len(found.due))

    async def _count(self, account: AccountId, after: UUID) -> Step:
        async with self._lanes.turn(bulk=True), self._db.read(account) as tx:
            await tx.plan_each()
            rows = await tx.fetch(COUNTED, account, after, BUILDS)
        repaired: Counter[str] = Counter()
        for row in rows:
            if row["wrong"]:
                async with self._lanes.turn(bulk=True), self._db.write(account) as tx:
                    await tx.fetchrow(LOCK_BUILD, account, row["id"])
                    done = await tx.execute(RECOUNT, account, row["id"])
                self._tell(account, repaired, count=int(done.removeprefix("UPDATE ")))
        following = Place(counting=True, position=rows[-1]["id"]) if len(rows) == BUILDS else None
        return Step(following, repaired=repaired)

    def _tell(self, account: AccountId, repaired: Counter[str], **found: int) -> None:
        """Of what was repaired, once it is committed."""
        for what, number in found.items():
            if number:
                repaired[what] += number
                metrics.REPAIRED.labels(what).inc(number)
                log.warning("reconcile.repaired", account=encode_account(account), what=what, number=number)


def is_behind(own: ContactVersion | None, version: int) -> bool:
    return own is None or own.version < version


def time(at: Timestamp) -> datetime:
    return at.ToDatetime(UTC)


def batches(found: Sequence[T]) -> Iterable[Sequence[T]]:
    for start in range(0, len(found), MAX_BATCH):
        yield found[start : start + MAX_BATCH]
