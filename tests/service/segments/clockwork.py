"""Time that tests set, for rules that go by it, and messages at times that they choose."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.db import Database
from chassis.ids import AccountId
from services.segments import builder, builds, contact_facts
from services.segments.consumers import contact_uuid
from services.segments.domain import moments
from services.segments.evaluation import Evaluator
from services.segments.flips import Flips
from services.segments.lanes import Lanes
from services.segments.messages import MessageEvents
from tests.service.segments.world import contact, events_of, received, rule, segment_steps

SECOND, DAY = moments.SECOND, moments.DAY


def micros(written: str) -> int:
    found = moments.parse_moment(written)
    assert found is not None
    return found


def stamp(at: str | int) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(contact_facts.time_of(at if isinstance(at, int) else micros(at)))
    return made


# Some time after NOW.
NOW, MOMENT = "2026-03-01T12:00:00Z", micros("2026-03-10T08:30:00.000001Z")
MONTH = rule(("created_at", "in_last", "30d"))


def custom(**metadata):
    """A contact with the metadata."""
    return contact(tags=["premium"], metadata_json=orjson.dumps(metadata).decode())


def created(at: str | int = MOMENT):
    """A contact that was, or will be, created at a time."""
    return contact(created_at=stamp(at))


class Clock:
    """A process whose time stands still until it is set: its evaluator, its flips and its builder."""

    def __init__(self, db: Database, now: str) -> None:
        self.db = db
        self.now = micros(now)
        self.evaluator = Evaluator(db, clock=self)
        self.flips = Flips(db, self.evaluator, Lanes(), clock=self)

    def __call__(self) -> int:
        return self.now

    async def to(self, moment: str | int) -> int:
        """Go there, and see to all that is due by then. Returns how many contacts that were."""
        self.now = moment if isinstance(moment, int) else micros(moment)
        seen = 0
        while some := await self.flips.run_once():
            seen += some
        return seen

    async def build(self) -> None:
        """Work until nothing is left to build."""
        while True:
            async with self.db.across() as tx:
                await tx.execute("UPDATE builds SET lease_until = NULL WHERE account_id IS NOT NULL")
            build = await builds.claim(self.db)
            if build is None:
                return
            with suppress(builds.Lost):
                await builder.work(self.db, build, clock=self)


async def due_of(db: Database, account: AccountId) -> dict[str, int]:
    """Contact → when it is due."""
    async with db.read(account) as tx:
        rows = await tx.fetch("SELECT contact_id, due_at FROM due WHERE account_id = $1", account)
    return {ids.encode("cnt", row["contact_id"]): row["due_at"] for row in rows}


async def make_due(db: Database, account: AccountId, contact_id: str, at: int) -> None:
    """By hand, in place of what is there."""
    sql = """
    INSERT INTO due (account_id, contact_id, due_at) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, contact_id) DO UPDATE SET due_at = excluded.due_at
    """
    async with db.write(account) as tx:
        await tx.execute(sql, account, contact_uuid(contact_id), at)


async def steps_told(db: Database, account: AccountId, segment_id: str) -> list[tuple[str, bool]]:
    """(contact, whether it joined) of each step into or out of the segment, in the order in which they were told."""
    told = []
    for steps in segment_steps(await events_of(db, account, "segment.members_changed")):
        if steps.segment_id == segment_id:
            told += [(step.contact_id, True) for step in steps.joined]
            told += [(step.contact_id, False) for step in steps.left]
    return told


def recipient(contact_id: str, *, id: str = "", sent: str | int = "", delivered: str | int = ""):
    message = campaigns_pb2.Recipient(id=id or ids.encode("rcp", ids.new()), contact_id=contact_id)
    if sent:
        message.sent_at.CopyFrom(stamp(sent))
    if delivered:
        message.delivered_at.CopyFrom(stamp(delivered))
    return message


def messages(recipients: Iterable[campaigns_pb2.Recipient], *, campaign: str = "") -> events_pb2.MessagesChanged:
    return events_pb2.MessagesChanged(campaign_id=campaign, recipients=recipients)


async def tell(
    evaluator: Evaluator, account: AccountId, kind: str, *recipients, campaign="", at: str | int = ""
) -> None:
    """`message.KIND` of recipients, at a time: straight into the handler."""
    event = received(f"message.{kind}", messages(recipients, campaign=campaign), account=account)
    if at:
        event = replace(event, time=contact_facts.time_of(at if isinstance(at, int) else micros(at)))
    await MessageEvents(evaluator, Lanes()).handle(account, [event])
