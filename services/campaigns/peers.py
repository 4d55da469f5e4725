"""The services that campaigns asks: segments for the audience, contacts for who may be messaged."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from carillon.contacts.v1 import contacts_pb2 as contacts
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.segments.v1 import segments_pb2 as segments
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import NotFound
from chassis.grpc_client import Client
from chassis.ids import AccountId
from services.campaigns import convert
from services.campaigns.domain.audience import Channel

CHECK_SECONDS = 2.0
READ_SECONDS = 2.0
# A segment's first backfill may have to end before the stream begins.
AUDIENCE_SECONDS = 1800.0
# Of CheckMessageable.
MAX_TARGETS = 500

# An address, and the contact it was taken from.
Target = tuple[UUID | None, str]


class Contacts:
    def __init__(self, client: Client[ContactsServiceStub]) -> None:
        self._client = client

    async def refusals(self, account: AccountId, channel: Channel, targets: Sequence[Target]) -> list[str]:
        """Why each target may not be messaged now, `do_not_disturb` for example; empty where it may.

        From the source of truth. Raises chassis.errors where it does not answer: then nobody may be messaged.
        """
        request = contacts.CheckMessageableRequest(
            channel=convert.CHANNELS[channel],
            targets=[
                contacts.Target(contact_id=convert.public(convert.CONTACT, contact), address=address)
                for contact, address in targets
            ],
        )
        answer = await self._client.unary(
            self._client.stub.CheckMessageable, request, call=Outgoing(account), timeout=CHECK_SECONDS, safe=True
        )
        if len(answer.refusals) != len(targets):
            raise RuntimeError("contacts answered for another number of targets")
        return [convert.REFUSALS.get(refusal, "") for refusal in answer.refusals]


class Segments:
    def __init__(self, client: Client[SegmentsServiceStub]) -> None:
        self._client = client

    async def exists(self, account: AccountId, segment_id: UUID) -> bool:
        request = segments.GetSegmentRequest(id=ids.encode(convert.SEGMENT, segment_id))
        try:
            await self._client.unary(
                self._client.stub.GetSegment, request, call=Outgoing(account), timeout=READ_SECONDS, safe=True
            )
        except NotFound:
            return False
        return True

    async def audience(self, account: AccountId, segment_id: UUID) -> AsyncIterator[Sequence[contacts.Contact]]:
        """Every member, up to 500 at a time. Raises NotFound, Unavailable, DeadlineExceeded."""
        request = segments.StreamAudienceRequest(segment_id=ids.encode(convert.SEGMENT, segment_id))
        stream = self._client.stream_out(
            self._client.stub.StreamAudience, request, call=Outgoing(account), timeout=AUDIENCE_SECONDS
        )
        async for page in stream:
            yield page.contacts
