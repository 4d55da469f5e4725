"""ImportsService as one account's client sees it, over gRPC."""

from typing import Any

from carillon.contacts.v1 import contacts_pb2 as contacts
from carillon.contacts.v1 import imports_pb2 as pb
from carillon.contacts.v1.imports_pb2_grpc import ImportsServiceStub
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId
from tests.service.contacts.address_book import TIMEOUT


class ImportDesk:
    def __init__(self, client: Client[ImportsServiceStub], account: AccountId) -> None:
        self.client = client
        self.account = account

    async def call(self, method: str, request: Any, *, idempotency: tuple[str, bytes] | None = None) -> Any:
        stub = getattr(self.client.stub, method)
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.client.unary(stub, request, call=outgoing, timeout=TIMEOUT)

    async def commit(self, import_id: str, mapping: dict[str, str] | None = None, **more: Any) -> contacts.Import:
        """mapping: column → target; `keep` names the columns that keep what is there."""
        keep = more.pop("keep", ())
        named = dict.fromkeys(keep, "") | (mapping or {})
        asked = [
            pb.ColumnMapping(column=column, target=target, keep_existing=column in keep)
            for column, target in named.items()
        ]
        answer = await self.call("CommitImport", pb.CommitImportRequest(id=import_id, mapping=asked, **more))
        return getattr(answer, "import")

    async def cancel(self, import_id: str) -> contacts.Import:
        return getattr(await self.call("CancelImport", pb.CancelImportRequest(id=import_id)), "import")

    async def undo(self, import_id: str) -> contacts.Import:
        return getattr(await self.call("UndoImport", pb.UndoImportRequest(id=import_id)), "import")

    async def leftovers(self, import_id: str, **wanted: Any) -> pb.ListImportLeftoversResponse:
        return await self.call("ListImportLeftovers", pb.ListImportLeftoversRequest(id=import_id, **wanted))

    async def page(self, **wanted: Any) -> pb.ListImportsResponse:
        return await self.call("ListImports", pb.ListImportsRequest(**wanted))

    async def failed_rows(self, import_id: str, **wanted: Any) -> pb.ListImportErrorsResponse:
        return await self.call("ListImportErrors", pb.ListImportErrorsRequest(id=import_id, **wanted))
