"""The services that campaigns asks: segments and contacts for the audience, contacts for who may be messaged."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from uuid import UUID

from carillon.contacts.v1 import audiences_pb2, lists_pb2, replies_pb2
from carillon.contacts.v1 import contacts_pb2 as contacts
from carillon.contacts.v1.audiences_pb2_grpc import AudiencesServiceStub
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from carillon.contacts.v1.lists_pb2_grpc import ListsServiceStub
from carillon.contacts.v1.replies_pb2_grpc import RepliesServiceStub
from carillon.segments.v1 import segments_pb2 as segments
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import NotFound
from chassis.grpc_client import Client
from chassis.ids import AccountId
from services.campaigns import convert
from services.campaigns.domain.audience import Audience, Channel
from services.campaigns.domain.recipient import Reason

CHECK_SECONDS = 2.0
READ_SECONDS = 2.0
# A segment's first backfill may have to end before the stream begins.
AUDIENCE_SECONDS = 1800.0
# Of CheckMessageable.
MAX_TARGETS = 500
# Of GetContacts.
MAX_IDS = 500

# An address, and the contact it was taken from.
Target = tuple[UUID | None, str]
Page = Sequence[contacts.Contact]


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
        # One that only a newer contacts service knows is a refusal all the same.
        return [convert.REFUSALS.get(refusal, Reason.OPTED_OUT) if refusal else "" for refusal in answer.refusals]

    async def get(self, account: AccountId, public_id: str) -> contacts.Contact:
        """Raises NotFound."""
        request = contacts.GetContactRequest(id=public_id)
        answer = await self._client.unary(
            self._client.stub.GetContact, request, call=Outgoing(account), timeout=READ_SECONDS, safe=True
        )
        return answer.contact


class Told:
    """Contacts, as what recipients say is told to it."""

    def __init__(self, client: Client[RepliesServiceStub]) -> None:
        self._client = client

    async def tell(self, account: AccountId, replies: Sequence[replies_pb2.Reply], timeout: float) -> Sequence[str]:
        """The contact of each, empty where nobody has the address. Raises chassis.errors."""
        request = replies_pb2.TakeRepliesRequest(replies=replies)
        answer = await self._client.unary(
            self._client.stub.TakeReplies, request, call=Outgoing(account), timeout=timeout, safe=True
        )
        if len(answer.contact_ids) != len(replies):
            raise RuntimeError("contacts answered for another number of replies")
        return answer.contact_ids


class Segments:
    def __init__(self, client: Client[SegmentsServiceStub]) -> None:
        self._client = client

    async def size(self, account: AccountId, segment_id: UUID) -> int | None:
        """How many members it has; None where there is no such segment."""
        request = segments.GetSegmentRequest(id=ids.encode(convert.SEGMENT, segment_id))
        try:
            answer = await self._client.unary(
                self._client.stub.GetSegment, request, call=Outgoing(account), timeout=READ_SECONDS, safe=True
            )
        except NotFound:
            return None
        return answer.segment.member_count

    async def members(self, account: AccountId, segment_id: UUID) -> AsyncGenerator[Page]:
        """Every member in the order of ids, up to 500 at a time. Raises NotFound, Unavailable, DeadlineExceeded."""
        request = segments.StreamAudienceRequest(segment_id=ids.encode(convert.SEGMENT, segment_id))
        stream = self._client.stream_out(
            self._client.stub.StreamAudience, request, call=Outgoing(account), timeout=AUDIENCE_SECONDS
        )
        async with aclosing(stream):  # type: ignore[type-var]  # a generator, typed as the iterator that callers need
            async for page in stream:
                yield page.contacts


class Lists:
    def __init__(self, lists: Client[ListsServiceStub], audiences: Client[AudiencesServiceStub]) -> None:
        self._lists = lists
        self._audiences = audiences

    async def size(self, account: AccountId, list_id: UUID) -> int | None:
        """How many members it has; None where there is no such list."""
        request = lists_pb2.GetListRequest(id=ids.encode(convert.LIST, list_id))
        try:
            answer = await self._lists.unary(
                self._lists.stub.GetList, request, call=Outgoing(account), timeout=READ_SECONDS, safe=True
            )
        except NotFound:
            return None
        return answer.list.member_count

    async def members(self, account: AccountId, list_id: UUID) -> AsyncGenerator[Page]:
        """Every member in the order of ids, up to 500 at a time. Raises NotFound, Unavailable, DeadlineExceeded."""
        request = audiences_pb2.StreamListMembersRequest(list_id=ids.encode(convert.LIST, list_id))
        stream = self._audiences.stream_out(
            self._audiences.stub.StreamListMembers, request, call=Outgoing(account), timeout=AUDIENCE_SECONDS
        )
        async with aclosing(stream):  # type: ignore[type-var]  # see Segments.members
            async for page in stream:
                yield page.contacts

    async def contacts(self, account: AccountId, contact_ids: Sequence[UUID]) -> AsyncIterator[Page]:
        """Those that there are, up to 500 at a time."""
        for at in range(0, len(contact_ids), MAX_IDS):
            wanted = [ids.encode(convert.CONTACT, one) for one in contact_ids[at : at + MAX_IDS]]
            request = audiences_pb2.GetContactsRequest(ids=wanted)
            answer = await self._audiences.unary(
                self._audiences.stub.GetContacts, request, call=Outgoing(account), timeout=READ_SECONDS, safe=True
            )
            yield answer.contacts


class Audiences:
    """Whoever an audience names."""

    def __init__(self, segments: Segments, lists: Lists) -> None:
        self.segments = segments
        self.lists = lists

    async def size(self, account: AccountId, audience: Audience) -> int | None:
        """How many it names; None where the segment or the list is not there, or where recipients are uploaded."""
        if audience.segment_id is not None:
            return await self.segments.size(account, audience.segment_id)
        if audience.list_id is not None:
            return await self.lists.size(account, audience.list_id)
        return None if audience.contact_ids is None else len(audience.contact_ids)

    async def members(self, account: AccountId, audience: Audience) -> AsyncGenerator[Page]:
        """All but the exclusions, up to 500 at a time. Raises NotFound, Unavailable, DeadlineExceeded."""
        if audience.segment_id is not None:
            async with aclosing(self.segments.members(account, audience.segment_id)) as pages:
                async for page in pages:
                    yield page
        elif audience.list_id is not None:
            async with aclosing(self.lists.members(account, audience.list_id)) as pages:
                async for page in pages:
                    yield page
        else:
            async for page in self.lists.contacts(account, audience.contact_ids or ()):
                yield page
