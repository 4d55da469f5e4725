"""Writes a started campaign's audience to the ledger: who it is sent to is settled here, once.

Segments streams its members; each page of 500 is held against contacts, then committed with its part of the stats.
A killed job is taken up by another when its lease runs out: it streams again and the ledger's keys keep what is there.
Members that are left out are kept in `exclusions` with the reason, and are no recipients: `total` counts only those
whom the campaign means to reach.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from uuid import UUID

import asyncpg
import orjson
import structlog
from prometheus_client import Counter

from carillon.contacts.v1 import contacts_pb2 as contacts
from chassis import ids
from chassis.db import Database
from chassis.errors import CarillonError, FailedPrecondition, NotFound
from chassis.ids import AccountId
from services.campaigns import convert, lifecycle
from services.campaigns.domain.audience import Channel, contact_variables
from services.campaigns.domain.campaign import Hold, Status
from services.campaigns.domain.recipient import Reason
from services.campaigns.domain.stats import Stats
from services.campaigns.peers import Contacts, Segments
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import freezing as queries
from services.campaigns.templating import Text

log = structlog.get_logger()

MEMBERS = Counter("carillon_campaigns_freeze_members_total", "Members of segments by what became of them", ["result"])

LEASE_SECONDS = 6.0
HEARTBEAT_SECONDS = 1.5
RETRY_SECONDS = 5.0
CHUNK_SIZE = 200
# Fields of a contact that a template may name, besides the keys of its metadata.
TEXT_FIELDS = (
    "phone",
    "email",
    "first_name",
    "last_name",
    "name",
    "country",
    "stage",
    "gender",
    "language",
    "timezone",
    "external_id",
)


class Lost(Exception):
    """The lease is another's, or the campaign was paused or cancelled."""


class Freezer:
    def __init__(self, db: Database, contacts: Contacts, segments: Segments, *, wake: Callable[[], None]) -> None:
        """wake: tells dispatchers that an audience is frozen."""
        self._db = db
        self._contacts = contacts
        self._segments = segments
        self._wake = wake

    async def step(self) -> bool:
        """Freeze one audience; False where there is none to freeze."""
        async with self._db.across() as tx:
            job = await queries.claim(tx, lease_seconds=LEASE_SECONDS)
        if job is None:
            return False
        heartbeat = asyncio.create_task(self._keep(job), name="freeze-heartbeat")
        try:
            await self._freeze(job)
            # It and the end would each hold what the other waits for.
            await stopped(heartbeat)
            await self._finish(job)
        except NotFound:
            await self._give_up(job, Hold.SEGMENT_NOT_FOUND)
        except FailedPrecondition:
            await self._give_up(job, Hold.SEGMENT_FAILED)
        except Lost:
            log.info("freeze.lost", campaign=ids.encode(convert.CAMPAIGN, job["campaign_id"]))
        except CarillonError as error:
            log.warning("freeze.interrupted", reason=error.reason)
            async with self._db.across() as tx:
                await queries.release(tx, job, seconds=RETRY_SECONDS)
        finally:
            await stopped(heartbeat)
        return True

    async def _freeze(self, job: asyncpg.Record) -> None:
        account, channel = AccountId(job["account_id"]), Channel(job["channel"])
        names = Text(job["started_body"], job["started_subject"]).variables
        async for members in self._segments.audience(account, job["segment_id"]):
            candidates, excluded = sort_out(members, channel, names)
            asked = [(candidate.contact_id, candidate.address) for candidate in candidates]
            refusals = await self._contacts.refusals(account, channel, asked) if asked else []
            for candidate, why in zip(candidates, refusals, strict=True):
                if why:
                    excluded[candidate.contact_id] = why
            kept = [candidate for candidate in candidates if candidate.contact_id not in excluded]
            await self._write(job, kept, excluded)

    async def _finish(self, job: asyncpg.Record) -> None:
        async with self._db.across() as tx:
            if not await queries.hold(tx, job, lease_seconds=LEASE_SECONDS):
                raise Lost
            await queries.finish(tx, job["account_id"], job["campaign_id"])
        self._wake()

    async def _write(self, job: asyncpg.Record, kept: Sequence[queries.Candidate], excluded: dict[UUID, str]) -> None:
        account, campaign_id = job["account_id"], job["campaign_id"]
        async with self._db.across() as tx:
            if not await queries.hold(tx, job, lease_seconds=LEASE_SECONDS):
                raise Lost
            added = await queries.add(tx, account, campaign_id, kept, chunk_size=CHUNK_SIZE)
            # What was neither added nor is there by its contact has an address that is there.
            doubles = {c.contact_id: str(Reason.DUPLICATE) for c in kept if c.contact_id not in added}
            await queries.exclude(tx, account, campaign_id, excluded | doubles)
            if job["freeze_generation"] > 1:
                await queries.include(tx, account, campaign_id, added)
            delta = Stats(total=len(added), pending=len(added))
            await campaign_queries.add_stats(tx, account, campaign_id, delta=delta)
        MEMBERS.labels("added").inc(len(added))
        for reason in excluded.values():
            MEMBERS.labels(reason).inc()

    async def _give_up(self, job: asyncpg.Record, reason: Hold) -> None:
        """The segment is gone, or cannot be built: pause, with the reason, so that a person decides."""
        account, campaign_id = job["account_id"], job["campaign_id"]
        async with self._db.across() as tx:
            row = await campaign_queries.lock(tx, account, campaign_id)
            if row is None or row["status"] != Status.RUNNING:
                return
            await campaign_queries.set_status(tx, account, campaign_id, status=Status.PAUSED, reason=reason)
            await lifecycle.append_event(tx, account, campaign_id, "campaign.paused")

    async def _keep(self, job: asyncpg.Record) -> None:
        """Renews the lease while segments is still building, or slow; pages are fenced by themselves."""
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            with suppress(CarillonError, asyncpg.PostgresError):
                async with self._db.across() as tx:
                    if not await queries.hold(tx, job, lease_seconds=LEASE_SECONDS):
                        return


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def sort_out(
    members: Sequence[contacts.Contact], channel: Channel, names: Sequence[str]
) -> tuple[list[queries.Candidate], dict[UUID, str]]:
    """Those that have an address, each address once; and why the others are left out."""
    candidates: list[queries.Candidate] = []
    excluded: dict[UUID, str] = {}
    seen: set[str] = set()
    for member in members:
        contact_id = ids.decode(convert.CONTACT, member.id)
        if contact_id is None:
            raise ValueError("segments streamed a contact without an id")
        address = member.email.lower() if channel is Channel.EMAIL else member.phone
        if not address:
            excluded[contact_id] = Reason.NO_ADDRESS
        elif address in seen:
            excluded[contact_id] = Reason.DUPLICATE
        else:
            seen.add(address)
            candidates.append(queries.Candidate(ids.new(), contact_id, address, variables(member, names)))
    return candidates, excluded


def variables(contact: contacts.Contact, names: Sequence[str]) -> str:
    """What the template asks for of a contact, as a JSON object."""
    if not names:
        return "{}"
    # Absent and empty are the same to a template.
    fields: dict[str, object] = {
        name: getattr(contact, name) for name in TEXT_FIELDS if name in names and getattr(contact, name)
    }
    metadata = orjson.loads(contact.metadata_json or "{}")
    if "tags" in names:
        fields["tags"] = list(contact.tags)
    if "metadata" in names:
        fields["metadata"] = metadata
    return orjson.dumps(contact_variables(fields, metadata, names)).decode()
