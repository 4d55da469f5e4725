"""What surrounds the service in its tests: the contacts service's events, the callers, and a look into the tables."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import orjson

from carillon.contacts.v1 import contacts_pb2
from carillon.events.v1 import events_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.call import Outgoing
from chassis.consumer import Received
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.ids import AccountId, encode_account
from services.segments.consumers import ContactEvents
from services.segments.evaluation import Evaluator
from services.segments.lanes import Lanes
from services.segments.messages import MessageEvents


def rule(*conditions: tuple) -> str:
    """(field, operator, value), all of which must hold, as a client writes them."""
    return orjson.dumps({"conditions": [leaf(*condition) for condition in conditions]}).decode()


def leaf(field: str, operator: str, *value: object) -> dict:
    return {"field": field, "operator": operator, **({"value": value[0]} if value else {})}


def tree(node: dict) -> str:
    """A nested rule."""
    return orjson.dumps({"rules": node}).decode()


PREMIUM = rule(("tags", "contains", "premium"))


def contact(version: int = 1, *, id: str = "", **fields) -> contacts_pb2.Contact:
    return contacts_pb2.Contact(id=id or ids.encode("cnt", ids.new()), version=version, **fields)


def changes(*contacts: contacts_pb2.Contact, fields: Sequence[str] = ()) -> events_pb2.ContactsChanged:
    return events_pb2.ContactsChanged(
        changes=[events_pb2.ContactChange(contact=one, changed_fields=fields) for one in contacts]
    )


def deletions(*gone: contacts_pb2.Contact) -> events_pb2.ContactsDeleted:
    return events_pb2.ContactsDeleted(
        deletions=[events_pb2.ContactDeletion(id=one.id, version=one.version + 1) for one in gone]
    )


class Contacts:
    """Publishes events as the contacts service's relay does."""

    def __init__(self, nats, account: AccountId) -> None:
        self._nats = nats
        self._account = account

    async def created(self, *contacts, bulk=False) -> None:
        await self._publish("contact.created", changes(*contacts), bulk)

    async def updated(self, *contacts, fields=("tags",), bulk=False) -> None:
        await self._publish("contact.updated", changes(*contacts, fields=fields), bulk)

    async def deleted(self, *contacts) -> None:
        await self._publish("contact.deleted", deletions(*contacts), False)

    async def _publish(self, event_type, message, bulk) -> None:
        headers = {
            "ce-id": str(uuid4()),
            "ce-type": event_type,
            "ce-time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        }
        subject = f"events.{event_type}.{encode_account(self._account)}" + (".bulk" if bulk else "")
        await self._nats.jetstream.publish(subject, message.SerializeToString(), headers=headers)


async def deliver(evaluator: Evaluator, account: AccountId, event_type: str, message, *, bulk=False) -> None:
    """An event straight into the handler, for tests that need to know when it was handled."""
    event = received(event_type, message, account=account, bulk=bulk)
    handler = MessageEvents if event_type.startswith("message.") else ContactEvents
    await handler(evaluator, Lanes()).handle(account, [event])


def received(event_type: str, message, *, account: AccountId | None = None, bulk=False) -> Received:
    return Received(
        str(uuid4()),
        event_type,
        account or AccountId(ids.new()),
        datetime.now(UTC),
        message.SerializeToString(),
        bulk,
        None,  # type: ignore[arg-type]  # nothing here acknowledges
    )


class Api:
    """The RPCs as their callers make them."""

    def __init__(self, gateway: Client, campaigns: Client, account: AccountId) -> None:
        self.gateway = gateway
        self.campaigns = campaigns
        self.account = account

    def of(self, account: AccountId) -> "Api":
        return Api(self.gateway, self.campaigns, account)

    async def call(self, method: str, request, *, idempotency=None):
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.gateway.unary(getattr(self.gateway.stub, method), request, call=outgoing, timeout=10.0)

    async def create(self, rule_json=PREMIUM, name="Premium Customers", **options) -> pb.Segment:
        request = pb.CreateSegmentRequest(name=name, rule_json=rule_json)
        return (await self.call("CreateSegment", request, **options)).segment

    async def update(self, segment_id: str, **fields) -> pb.Segment:
        request = pb.UpdateSegmentRequest(id=segment_id, **fields)
        return (await self.call("UpdateSegment", request)).segment

    async def get(self, segment_id: str) -> pb.Segment:
        return (await self.call("GetSegment", pb.GetSegmentRequest(id=segment_id))).segment

    async def delete(self, segment_id: str) -> None:
        await self.call("DeleteSegment", pb.DeleteSegmentRequest(id=segment_id))

    async def members(self, segment_id: str, *, page_size: int = 100) -> list[pb.Member]:
        found, cursor = [], ""
        while True:
            request = pb.ListMembersRequest(segment_id=segment_id, page_size=page_size, cursor=cursor)
            page = await self.call("ListMembers", request)
            found += page.members
            cursor = page.next_cursor
            if not cursor:
                return found

    async def member_ids(self, segment_id: str) -> set[str]:
        return {member.contact.id for member in await self.members(segment_id)}

    async def segments_of(self, contact_id: str) -> list[str]:
        response = await self.call("ListContactSegments", pb.ListContactSegmentsRequest(contact_id=contact_id))
        return [segment.id for segment in response.segments]

    def audience(self, segment_id: str, *, timeout: float = 10.0) -> AsyncIterator[pb.StreamAudienceResponse]:
        return self.campaigns.stream_out(
            self.campaigns.stub.StreamAudience,
            pb.StreamAudienceRequest(segment_id=segment_id),
            call=Outgoing(self.account),
            timeout=timeout,
        )

    async def is_ready(self, segment_id: str) -> bool:
        return (await self.get(segment_id)).status == pb.SEGMENT_STATUS_READY


async def counts_differ(db: Database, account: AccountId) -> list[tuple[UUID, int, int]]:
    """Builds whose stored count is not the number of their rows."""
    async with db.read(account) as tx:
        rows = await tx.fetch(
            """
            SELECT b.id, b.members, (SELECT count(*) FROM members m WHERE m.account_id = $1 AND m.build_id = b.id)
            FROM builds b WHERE b.account_id = $1 AND b.state NOT IN ('retired', 'replaced')
            """,
            account,
        )
    return [tuple(row) for row in rows if row[1] != row[2]]


async def events_of(db: Database, account: AccountId, event_type: str) -> list:
    """(bulk, data) of the outbox, in the order in which the events were made."""
    async with db.read(account) as tx:
        return await tx.fetch(
            "SELECT bulk, data FROM outbox WHERE account_id = $1 AND type = $2 ORDER BY id", account, event_type
        )
