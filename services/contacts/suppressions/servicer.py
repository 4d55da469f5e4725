"""carillon.contacts.v1.SuppressionUploadsService: from the wire to the service and back."""

from collections.abc import AsyncIterator

from carillon.contacts.v1 import suppression_uploads_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts.suppressions.upload import SuppressionUploads

EDGE = {"gateway"}


class SuppressionUploadsServicer:
    def __init__(self, uploads: SuppressionUploads) -> None:
        self._uploads = uploads

    @rpc(admits=EDGE)
    async def UploadSuppressions(
        self, call: Call, requests: AsyncIterator[pb.UploadSuppressionsRequest]
    ) -> pb.UploadSuppressionsResponse:
        return await self._uploads.upload(call, requests)
