"""carillon.contacts.v1.ContactsService: from the wire to the services and back."""

from collections.abc import AsyncIterator

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import convert, errors, shown, snapshot
from services.contacts.domain.contact import Patch
from services.contacts.domain.problems import invalid
from services.contacts.imports.service import ImportService
from services.contacts.intake import read_patch, read_region
from services.contacts.listing.requests import folded_key, read_filter, read_order
from services.contacts.listing.service import ListingService
from services.contacts.service import ContactService
from services.contacts.streaming import StreamService
from services.contacts.suppressions.service import SuppressionService

# Who acts for account holders, and who sends messages.
EDGE = {"gateway"}
SENDERS = {"gateway", "campaigns"}
READERS = {"gateway", "campaigns", "segments"}
# Who keeps a copy.
KEEPERS = {"segments"}


class ContactsServicer:
    def __init__(
        self,
        contacts: ContactService,
        imports: ImportService,
        *,
        listing: ListingService,
        suppressions: SuppressionService,
        streams: StreamService,
    ) -> None:
        self._contacts = contacts
        self._imports = imports
        self._listing = listing
        self._suppressions = suppressions
        self._streams = streams

    @rpc(admits=EDGE)
    async def CreateContact(self, call: Call, request: pb.CreateContactRequest) -> pb.CreateContactResponse:
        patch = patch_of(request.contact, request.default_region)
        upsert = request.on_conflict == pb.ON_CONFLICT_UPDATE
        return await self._contacts.create(call, patch, upsert=upsert)

    @rpc(admits=READERS)
    async def GetContact(self, call: Call, request: pb.GetContactRequest) -> pb.GetContactResponse:
        return pb.GetContactResponse(contact=convert.contact(await self._contacts.get(call, request.id)))

    @rpc(admits=EDGE)
    async def UpdateContact(self, call: Call, request: pb.UpdateContactRequest) -> pb.UpdateContactResponse:
        patch = patch_of(request.patch, request.default_region)
        if_version = request.if_version if request.HasField("if_version") else None
        return await self._contacts.update(call, request.id, patch=patch, if_version=if_version)

    @rpc(admits=EDGE)
    async def DeleteContact(self, call: Call, request: pb.DeleteContactRequest) -> pb.DeleteContactResponse:
        if_version = request.if_version if request.HasField("if_version") else None
        return await self._contacts.delete(call, request.id, if_version=if_version)

    @rpc(admits=READERS)
    async def ListContacts(self, call: Call, request: pb.ListContactsRequest) -> pb.ListContactsResponse:
        wanted, order = read_filter(request), read_order(request)
        found, cursor = await self._listing.page(
            call, wanted, order=order, page_size=request.page_size, cursor=request.cursor, skip=request.skip
        )
        if request.as_json:
            answer = pb.ListContactsResponse(contacts_json=shown.page(found))
        else:
            answer = pb.ListContactsResponse.FromString(snapshot.page(found))
        answer.next_cursor, answer.skipped = cursor, request.skip
        if request.include_total:
            answer.total, answer.total_is_estimate = await self._listing.total(call, wanted)
        return answer

    @rpc(admits=READERS)
    async def LookupContact(self, call: Call, request: pb.LookupContactRequest) -> pb.LookupContactResponse:
        key = request.WhichOneof("key")
        if key is None:
            raise errors.invalid([invalid("", "One of phone, email and external_id is needed.")])
        found, matches = await self._contacts.look_up(call, key, folded_key(key, getattr(request, key)))
        return pb.LookupContactResponse(contact=convert.contact(found), matches=matches)

    @rpc(admits=KEEPERS)
    async def StreamContacts(
        self, call: Call, request: pb.StreamContactsRequest
    ) -> AsyncIterator[pb.StreamContactsResponse]:
        async for response in self._streams.stream(call, request):
            yield response

    @rpc(admits=EDGE)
    async def BulkDeleteContacts(
        self, call: Call, request: pb.BulkDeleteContactsRequest
    ) -> pb.BulkDeleteContactsResponse:
        return await self._contacts.delete_many(call, request.ids)

    @rpc(admits=EDGE)
    async def AddTags(self, call: Call, request: pb.AddTagsRequest) -> pb.AddTagsResponse:
        return await self._contacts.add_tags(call, request.id, more=request.tags)

    @rpc(admits=EDGE)
    async def RemoveTag(self, call: Call, request: pb.RemoveTagRequest) -> pb.RemoveTagResponse:
        return await self._contacts.remove_tag(call, request.id, tag=request.tag)

    @rpc(admits=EDGE)
    async def CreateImport(
        self, call: Call, requests: AsyncIterator[pb.CreateImportRequest]
    ) -> pb.CreateImportResponse:
        return await self._imports.create(call, requests)

    @rpc(admits=EDGE)
    async def GetImport(self, call: Call, request: pb.GetImportRequest) -> pb.GetImportResponse:
        return await self._imports.get(call, request.id)

    @rpc(admits=EDGE)
    async def CreateSuppression(self, call: Call, request: pb.CreateSuppressionRequest) -> pb.CreateSuppressionResponse:
        return await self._suppressions.create(call, request)

    @rpc(admits=EDGE)
    async def ListSuppressions(self, call: Call, request: pb.ListSuppressionsRequest) -> pb.ListSuppressionsResponse:
        found, cursor = await self._suppressions.page(call, page_size=request.page_size, cursor=request.cursor)
        return pb.ListSuppressionsResponse(suppressions=map(convert.suppression, found), next_cursor=cursor)

    @rpc(admits=EDGE)
    async def DeleteSuppression(self, call: Call, request: pb.DeleteSuppressionRequest) -> pb.DeleteSuppressionResponse:
        return await self._suppressions.delete(call, request.id)

    @rpc(admits=SENDERS)
    async def CheckMessageable(self, call: Call, request: pb.CheckMessageableRequest) -> pb.CheckMessageableResponse:
        channel = convert.CHANNEL_NAMES.get(request.channel)
        if channel is None:
            raise errors.invalid([invalid("channel", "The channel is not known.")])
        refusals = await self._suppressions.check(call, channel, targets=request.targets)
        return pb.CheckMessageableResponse(refusals=[convert.REFUSALS[refusal] for refusal in refusals])


def patch_of(message: pb.ContactPatch, default_region: str) -> Patch:
    """Raises InvalidArgument."""
    with errors.refusing():
        return read_patch(convert.raw_patch(message), clear=message.clear, region=read_region(default_region))
