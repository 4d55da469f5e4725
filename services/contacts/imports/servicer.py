"""carillon.contacts.v1.ImportsService: from the wire to the service and back."""

from carillon.contacts.v1 import imports_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts.imports.lifecycle import ImportLifecycle

EDGE = {"gateway"}


class ImportsServicer:
    def __init__(self, imports: ImportLifecycle) -> None:
        self._imports = imports

    @rpc(admits=EDGE)
    async def ListImports(self, call: Call, request: pb.ListImportsRequest) -> pb.ListImportsResponse:
        return await self._imports.page(call, request)

    @rpc(admits=EDGE)
    async def CommitImport(self, call: Call, request: pb.CommitImportRequest) -> pb.CommitImportResponse:
        return await self._imports.commit(call, request)

    @rpc(admits=EDGE)
    async def CancelImport(self, call: Call, request: pb.CancelImportRequest) -> pb.CancelImportResponse:
        return await self._imports.cancel(call, request.id)

    @rpc(admits=EDGE)
    async def UndoImport(self, call: Call, request: pb.UndoImportRequest) -> pb.UndoImportResponse:
        return await self._imports.undo(call, request.id)

    @rpc(admits=EDGE)
    async def ListImportLeftovers(
        self, call: Call, request: pb.ListImportLeftoversRequest
    ) -> pb.ListImportLeftoversResponse:
        return await self._imports.leftovers(call, request)

    @rpc(admits=EDGE)
    async def ListImportErrors(self, call: Call, request: pb.ListImportErrorsRequest) -> pb.ListImportErrorsResponse:
        return await self._imports.failed_rows(call, request)
