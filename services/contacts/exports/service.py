"""Takes exports in, tells how they stand, and hands out their files."""

from collections.abc import AsyncIterator, Callable

from carillon.contacts.v1 import exports_pb2 as pb
from chassis import ids, paging
from chassis.call import Call
from chassis.db import Database
from chassis.errors import FailedPrecondition, Reason
from chassis.telemetry import current_traceparent
from services.contacts import errors
from services.contacts.domain.problems import invalid
from services.contacts.exports import convert, repository
from services.contacts.exports.contents import ReadFilter
from services.contacts.exports.peers import status_number
from services.contacts.exports.record import Export

# The poke that wakes the export workers.
POKE = "contacts.exports"


class ExportService:
    def __init__(self, db: Database, wake_workers: Callable[[], None], *, read_filter: ReadFilter) -> None:
        """wake_workers: best effort, they poll besides."""
        self._db = db
        self._wake_workers = wake_workers
        self._read_filter = read_filter

    async def create(self, call: Call, request: pb.CreateExportRequest) -> pb.CreateExportResponse:
        """Raises InvalidArgument."""
        resource, format_ = convert.RESOURCES.get(request.resource), convert.FORMATS.get(request.format)
        if resource is None:
            raise errors.invalid([invalid("resource", "The resource is not known.")])
        if format_ is None:
            raise errors.invalid([invalid("format", "The format is not known.")])
        if format_ == "vcf" and resource == "recipients":
            raise errors.invalid([invalid("format", "A card is made of a contact: recipients are csv, xlsx or jsonl.")])
        try:
            status_number(request.recipient_status)
        except ValueError:
            raise errors.invalid([invalid("filter/status", "The status is not known.")]) from None
        self._read_filter(request.contacts)
        async with self._db.write(call) as tx:
            queued = await repository.create(
                tx,
                ids.new(),
                resource=resource,
                format_=format_,
                request=request,
                file_id=ids.new(),
                traceparent=current_traceparent(),
            )
            response = await tx.reply(pb.CreateExportResponse(export=convert.export(queued)))
        self._wake_workers()
        return response

    async def get(self, call: Call, public_id: str) -> Export:
        """Raises NotFound."""
        export_id = errors.parse_id("exp", public_id, kind="export")
        async with self._db.read(call.account) as tx:
            found = await repository.get(tx, call.account, export_id)
        if found is None:
            raise errors.not_found("export", public_id)
        return found

    async def page(self, call: Call, *, page_size: int, cursor: str) -> tuple[list[Export], str]:
        """Newest first, and the cursor of the next page, empty on the last."""
        limit = paging.page_size(page_size)
        scope = f"exports {call.account}"
        before = None
        if cursor:
            (last,) = paging.decode_cursor(cursor, scope, parts=1)
            before = ids.decode("exp", last)
        async with self._db.read(call.account) as tx:
            found = await repository.page(tx, call.account, before=before, limit=limit + 1)
        if len(found) <= limit:
            return found, ""
        return found[:limit], paging.encode_cursor(scope, ids.encode("exp", found[limit - 1].id))

    async def download(self, call: Call, public_id: str) -> AsyncIterator[bytes]:
        """The file, a stored piece at a time. Raises NotFound, also when it expires on the way; FailedPrecondition."""
        found = await self.get(call, public_id)
        if found.status != "completed":
            raise FailedPrecondition(
                Reason.INVALID_STATE, f"The export is {found.status}.", metadata={"status": found.status}
            )
        sent = seq = 0
        while sent < found.bytes:
            async with self._db.read(call.account) as tx:
                data = await repository.chunk(tx, call.account, found.id, seq=seq)
            if data is None:
                raise errors.not_found("export", public_id)
            yield data
            sent, seq = sent + len(data), seq + 1
