"""The services that have what is exported besides contacts."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from uuid import UUID

from carillon.campaigns.v1 import campaigns_pb2
from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.segments.v1 import segments_pb2
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import ids
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId

# A segment's first backfill may have to end before the stream begins.
MEMBERS_SECONDS = 3600.0
PAGE_SECONDS = 10.0
PAGE_SIZE = 100


class Segments:
    def __init__(self, client: Client[SegmentsServiceStub]) -> None:
        self._client = client

    async def members(self, account: AccountId, segment_id: str, *, after: UUID | None) -> AsyncGenerator[list[UUID]]:
        """Ids of contacts in ascending order, some hundreds at a time, of one moment. Raises chassis.errors."""
        request = segments_pb2.StreamAudienceRequest(segment_id=segment_id)
        stream = self._client.stream_out(
            self._client.stub.StreamAudience, request, call=Outgoing(account), timeout=MEMBERS_SECONDS
        )
        async with aclosing(stream):  # type: ignore[type-var]  # a generator, typed as the iterator that callers need
            async for page in stream:
                found = [ids.decode("cnt", contact.id) for contact in page.contacts]
                if fresh := [one for one in found if one is not None and (after is None or one > after)]:
                    yield fresh


class Campaigns:
    def __init__(self, client: Client[CampaignsServiceStub]) -> None:
        self._client = client

    async def recipients(
        self, account: AccountId, campaign_id: str, *, status: str, cursor: str
    ) -> tuple[Sequence[campaigns_pb2.Recipient], int, str]:
        """A page, the channel of its addresses, and the next cursor, empty on the last. Raises chassis.errors."""
        request = campaigns_pb2.ListRecipientsRequest(
            campaign_id=campaign_id,
            status=status_number(status),
            per_page=PAGE_SIZE,
            cursor=cursor,
        )
        answer = await self._client.unary(
            self._client.stub.ListRecipients, request, call=Outgoing(account), timeout=PAGE_SECONDS, safe=True
        )
        return answer.recipients, answer.channel, answer.next_cursor


def status_number(name: str) -> campaigns_pb2.RecipientStatus.ValueType:
    """Of a state as the API calls it; empty is any. Raises ValueError."""
    return campaigns_pb2.RecipientStatus.Value(f"RECIPIENT_STATUS_{name.upper() or 'UNSPECIFIED'}")
