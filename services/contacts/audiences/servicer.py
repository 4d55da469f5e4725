"""carillon.contacts.v1.AudiencesService: from the wire to the service and back."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from carillon.contacts.v1 import audiences_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import convert
from services.contacts.audiences.service import AudienceService

SENDERS = {"campaigns"}


class AudiencesServicer:
    def __init__(self, audiences: AudienceService) -> None:
        self._audiences = audiences

    @rpc(admits=SENDERS)
    async def StreamListMembers(
        self, call: Call, request: pb.StreamListMembersRequest
    ) -> AsyncIterator[pb.StreamListMembersResponse]:
        async with aclosing(self._audiences.members(call.account, request.list_id)) as pages:
            async for found in pages:
                yield pb.StreamListMembersResponse(contacts=map(convert.contact, found))

    @rpc(admits=SENDERS)
    async def GetContacts(self, call: Call, request: pb.GetContactsRequest) -> pb.GetContactsResponse:
        found = await self._audiences.get(call.account, request.ids)
        return pb.GetContactsResponse(contacts=map(convert.contact, found))
