"""Exports as one account's client sees them, over gRPC."""

from typing import Any

from carillon.contacts.v1 import contacts_pb2, exports_pb2_grpc
from carillon.contacts.v1 import exports_pb2 as pb
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId

TIMEOUT = 20.0


class ExportDesk:
    def __init__(self, client: "Client[exports_pb2_grpc.ExportsServiceStub]", account: AccountId) -> None:
        self.client = client
        self.account = account

    async def call(self, method: str, request: Any, *, idempotency: tuple[str, bytes] | None = None) -> Any:
        stub = getattr(self.client.stub, method)
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.client.unary(stub, request, call=outgoing, timeout=TIMEOUT)

    async def create(self, format_: str = "csv", *, resource: str = "contacts", **filters: Any) -> pb.Export:
        request = pb.CreateExportRequest(
            resource=pb.ExportResource.Value(f"EXPORT_RESOURCE_{resource.upper()}"),
            format=pb.ExportFormat.Value(f"EXPORT_FORMAT_{format_.upper()}"),
            contacts=contacts_pb2.ListContactsRequest(**filters),
        )
        return (await self.call("CreateExport", request)).export

    async def get(self, export_id: str) -> pb.Export:
        return (await self.call("GetExport", pb.GetExportRequest(id=export_id))).export

    async def download(self, export_id: str) -> bytes:
        stream = self.client.stream_out(
            self.client.stub.DownloadExport,
            pb.DownloadExportRequest(id=export_id),
            call=Outgoing(self.account),
            timeout=TIMEOUT,
        )
        return b"".join([message.chunk async for message in stream])
