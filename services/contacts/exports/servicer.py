"""carillon.contacts.v1.ExportsService: from the wire to the service and back."""

from collections.abc import AsyncIterator

from carillon.contacts.v1 import exports_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts.exports import convert
from services.contacts.exports.service import ExportService

EDGE = {"gateway"}


class ExportsServicer:
    def __init__(self, exports: ExportService) -> None:
        self._exports = exports

    @rpc(admits=EDGE)
    async def CreateExport(self, call: Call, request: pb.CreateExportRequest) -> pb.CreateExportResponse:
        return await self._exports.create(call, request)

    @rpc(admits=EDGE)
    async def ListExports(self, call: Call, request: pb.ListExportsRequest) -> pb.ListExportsResponse:
        found, cursor = await self._exports.page(call, page_size=request.page_size, cursor=request.cursor)
        return pb.ListExportsResponse(exports=map(convert.export, found), next_cursor=cursor)

    @rpc(admits=EDGE)
    async def GetExport(self, call: Call, request: pb.GetExportRequest) -> pb.GetExportResponse:
        return pb.GetExportResponse(export=convert.export(await self._exports.get(call, request.id)))

    @rpc(admits=EDGE)
    async def DownloadExport(
        self, call: Call, request: pb.DownloadExportRequest
    ) -> AsyncIterator[pb.DownloadExportResponse]:
        async for data in self._exports.download(call, request.id):
            yield pb.DownloadExportResponse(chunk=data)
