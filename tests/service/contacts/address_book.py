"""The contacts service as one account's client sees it, over gRPC."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId

TIMEOUT = 20.0


def patch(**fields: Any) -> pb.ContactPatch:
    if "tags" in fields:
        fields["tags"] = pb.Tags(values=fields["tags"])
    return pb.ContactPatch(**fields)


class AddressBook:
    def __init__(self, client: "Client[rpc.ContactsServiceStub]", account: AccountId) -> None:
        self.client = client
        self.account = account

    async def call(self, method: str, request: Any, *, idempotency: tuple[str, bytes] | None = None) -> Any:
        stub = getattr(self.client.stub, method)
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.client.unary(stub, request, call=outgoing, timeout=TIMEOUT)

    async def create(self, *, upsert: bool = False, region: str = "", **fields: Any) -> pb.CreateContactResponse:
        request = pb.CreateContactRequest(
            contact=patch(**fields),
            on_conflict=pb.ON_CONFLICT_UPDATE if upsert else pb.ON_CONFLICT_UNSPECIFIED,
            default_region=region,
        )
        return await self.call("CreateContact", request)

    async def get(self, contact_id: str) -> pb.Contact:
        return (await self.call("GetContact", pb.GetContactRequest(id=contact_id))).contact

    async def update(
        self, contact_id: str, *, clear: Iterable[str] = (), if_version: int | None = None, **fields: Any
    ) -> pb.Contact:
        changes = patch(**fields)
        changes.clear.extend(clear)
        request = pb.UpdateContactRequest(id=contact_id, patch=changes, if_version=if_version)
        return (await self.call("UpdateContact", request)).contact

    async def delete(self, contact_id: str, *, if_version: int | None = None) -> None:
        await self.call("DeleteContact", pb.DeleteContactRequest(id=contact_id, if_version=if_version))

    async def page(self, **wanted: Any) -> pb.ListContactsResponse:
        return await self.call("ListContacts", pb.ListContactsRequest(**wanted))

    async def all(self) -> list[pb.Contact]:
        found: list[pb.Contact] = []
        cursor = ""
        while True:
            answer = await self.page(page_size=100, cursor=cursor)
            found += answer.contacts
            cursor = answer.next_cursor
            if not cursor:
                return found

    async def upload(
        self,
        data: bytes,
        *,
        end: bool = True,
        piece: int = 65536,
        idempotency: tuple[str, bytes] | None = None,
        **options: Any,
    ) -> pb.Import:
        return getattr(await self.send(data, end=end, piece=piece, idempotency=idempotency, **options), "import")

    async def send(
        self,
        data: bytes,
        *,
        end: bool = True,
        piece: int = 65536,
        idempotency: tuple[str, bytes] | None = None,
        **options: Any,
    ) -> pb.CreateImportResponse:
        async def requests() -> AsyncIterator[pb.CreateImportRequest]:
            yield pb.CreateImportRequest(options=pb.ImportOptions(**options))
            for start in range(0, len(data), piece):
                yield pb.CreateImportRequest(chunk=data[start : start + piece])
            if end:
                yield pb.CreateImportRequest(end=True)

        response, _ = await self.client.stream_in(
            self.client.stub.CreateImport,
            requests(),
            call=Outgoing(self.account, idempotency=idempotency),
            timeout=TIMEOUT,
        )
        return response

    async def hold(self, data: bytes | str) -> pb.CreateImportResponse:
        """An upload that waits for its commit."""
        return await self.send(data.encode() if isinstance(data, str) else data, hold=True)

    async def progress(self, import_id: str) -> pb.Import:
        return getattr(await self.call("GetImport", pb.GetImportRequest(id=import_id)), "import")
