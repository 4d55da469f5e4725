"""carillon.contacts.v1.ListsService: from the wire to the service and back."""

from carillon.contacts.v1 import lists_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import convert
from services.contacts.lists.convert import message
from services.contacts.lists.service import ListService

EDGE = {"gateway"}
READERS = {"gateway", "campaigns", "segments"}


class ListsServicer:
    def __init__(self, lists: ListService) -> None:
        self._lists = lists

    @rpc(admits=EDGE)
    async def CreateList(self, call: Call, request: pb.CreateListRequest) -> pb.CreateListResponse:
        description = request.description if request.HasField("description") else None
        return await self._lists.create(call, name=request.name, description=description)

    @rpc(admits=READERS)
    async def GetList(self, call: Call, request: pb.GetListRequest) -> pb.GetListResponse:
        return pb.GetListResponse(list=message(await self._lists.get(call, request.id)))

    @rpc(admits=EDGE)
    async def ListLists(self, call: Call, request: pb.ListListsRequest) -> pb.ListListsResponse:
        found, cursor = await self._lists.page(
            call, page_size=request.page_size, cursor=request.cursor, skip=request.skip
        )
        total = await self._lists.count(call) if request.include_total else None
        return pb.ListListsResponse(lists=map(message, found), next_cursor=cursor, total=total, skipped=request.skip)

    @rpc(admits=EDGE)
    async def UpdateList(self, call: Call, request: pb.UpdateListRequest) -> pb.UpdateListResponse:
        return await self._lists.update(call, request)

    @rpc(admits=EDGE)
    async def DeleteList(self, call: Call, request: pb.DeleteListRequest) -> pb.DeleteListResponse:
        return await self._lists.delete(call, request)

    @rpc(admits=READERS)
    async def ListListMembers(self, call: Call, request: pb.ListListMembersRequest) -> pb.ListListMembersResponse:
        found, cursor, total = await self._lists.members(
            call, request.id, page_size=request.page_size, cursor=request.cursor, skip=request.skip
        )
        return pb.ListListMembersResponse(
            contacts=map(convert.contact, found), next_cursor=cursor, total=total, skipped=request.skip
        )

    @rpc(admits=EDGE)
    async def AddListMembers(self, call: Call, request: pb.AddListMembersRequest) -> pb.AddListMembersResponse:
        return await self._lists.add(call, list_ids=request.list_ids, contact_ids=request.contact_ids)

    @rpc(admits=EDGE)
    async def RemoveListMembers(self, call: Call, request: pb.RemoveListMembersRequest) -> pb.RemoveListMembersResponse:
        return await self._lists.remove(call, list_ids=request.list_ids, contact_ids=request.contact_ids)
