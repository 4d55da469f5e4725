"""Takes uploads in and tells how their imports stand."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.errors import Aborted, CarillonError, InvalidArgument, Reason, ResourceExhausted
from chassis.telemetry import current_traceparent
from formats.layout import Empty, Layout, Scan
from formats.records import Unreadable
from services.contacts import convert, errors, metrics
from services.contacts.domain import limits, tags
from services.contacts.domain.problems import Refused, invalid
from services.contacts.imports import files, preview, repository, sources
from services.contacts.imports.columns import identifies
from services.contacts.imports.files import Upload
from services.contacts.imports.headers import is_header, suggest
from services.contacts.imports.plan import Column, Plan
from services.contacts.imports.preview import read_preview
from services.contacts.imports.record import Import
from services.contacts.intake import read_region

log = structlog.get_logger()

# The poke that wakes the import workers.
POKE = "contacts.imports"
FILE_NAME_CHARACTERS = 200


@dataclass(slots=True)
class Received:
    """What is kept of an upload besides its bytes."""

    options: pb.ImportOptions = field(default_factory=pb.ImportOptions)
    scan: Scan = field(default_factory=Scan)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def update(self, data: bytes) -> None:
        self.scan.update(data)
        self.digest.update(data)


class ImportService:
    def __init__(self, db: Database, wake_workers: Callable[[], None], *, limit_bytes: int) -> None:
        """wake_workers: best effort, they poll besides. limit_bytes: of one upload."""
        self._db = db
        self._wake_workers = wake_workers
        self._limit_bytes = limit_bytes
        self._inspector = sources.Inspector()

    async def create(self, call: Call, requests: AsyncIterator[pb.CreateImportRequest]) -> pb.CreateImportResponse:
        """Stores the upload and queues its import; keeps nothing where it refuses or the upload breaks off."""
        upload = Upload(self._db, call.account)
        await upload.start()
        async with kept_only_on_success(upload):
            received = await self._receive(requests, upload)
            stored = files.read(self._db, call.account, upload.file_id)
            layout = await inspect(self._inspector, received.scan, stored)
            plan = replace(read_plan(received.options, layout), traceparent=current_traceparent())
            shown = read_preview(received.scan, layout, plan) if received.options.hold else None
            new = repository.New(
                id=ids.new(),
                file_id=upload.file_id,
                plan=plan,
                size=received.scan.size,
                sha256=received.digest.digest(),
                file_name=file_name(received.options.file_name),
                preview=shown,
            )
            told_apart = call.over(received.digest.digest(), received.options.SerializeToString(deterministic=True))
            async with self._db.write(told_apart) as tx:
                await upload.complete(tx)
                await repository.check_lists(tx, plan.list_ids)
                made = await repository.create(tx, new)
                looks = None if shown is None else (plan, shown.to_json())
                response = await tx.reply(pb.CreateImportResponse(**answer(made, looks)))
        self._wake_workers()
        return response

    async def _receive(self, requests: AsyncIterator[pb.CreateImportRequest], upload: Upload) -> "Received":
        """Raises ResourceExhausted(PAYLOAD_TOO_LARGE), Aborted(UPLOAD_INCOMPLETE)."""
        received, ended = Received(), False
        async for request in requests:
            match request.WhichOneof("part"):
                case "options":
                    received.options.MergeFrom(request.options)
                case "chunk":
                    received.update(request.chunk)
                    if received.scan.size > self._limit_bytes:
                        raise too_large(self._limit_bytes)
                    await upload.append(request.chunk)
                case "end":
                    ended = ended or request.end
        if not ended:
            raise Aborted(Reason.UPLOAD_INCOMPLETE, "The upload broke off before its end; nothing was kept.")
        await upload.end()
        metrics.UPLOAD_BYTES.inc(received.scan.size)
        return received

    async def get(self, call: Call, public_id: str) -> pb.GetImportResponse:
        """With its preview, where it has one. Raises NotFound."""
        import_id = errors.parse_id("imp", public_id, kind="import")
        async with self._db.read(call.account) as tx:
            found = await repository.get(tx, call.account, import_id)
            if found is None:
                raise errors.not_found("import", public_id)
            shown = await repository.preview(tx, call.account, import_id)
            changes = await repository.changes(tx, call.account, import_id) if found.dry_run else []
        return pb.GetImportResponse(**answer(found, shown), changes=map(convert.import_change, changes))


def answer(found: Import, shown: tuple[Plan, dict[str, Any]] | None) -> dict[str, Any]:
    """The fields of an answer that is an import and perhaps its preview: `import` is a keyword in Python."""
    return {"import": convert.import_job(found), "preview": None if shown is None else preview.message(*shown)}


@asynccontextmanager
async def kept_only_on_success(upload: Upload) -> AsyncIterator[None]:
    """Drops the file when the block fails or is cancelled; where even that fails, the cleaner does it later."""
    try:
        yield
    except BaseException:
        try:
            await asyncio.shield(upload.drop())
        except CarillonError:
            log.warning("imports.orphan_left", file_id=str(upload.file_id))
        raise


async def inspect(inspector: sources.Inspector, scan: Scan, stored: AsyncIterator[bytes]) -> Layout:
    """Raises InvalidArgument: FILE_EMPTY, FILE_UNREADABLE."""
    try:
        return await inspector.inspect(scan, stored)
    except Empty as empty:
        raise InvalidArgument(Reason.FILE_EMPTY, "The file has no rows.") from empty
    except Unreadable as unreadable:
        raise InvalidArgument(Reason.FILE_UNREADABLE, str(unreadable)) from unreadable


def read_plan(options: pb.ImportOptions, layout: Layout) -> Plan:
    """Raises InvalidArgument: UNKNOWN_COLUMNS, VALIDATION_FAILED."""
    with errors.refusing():
        region = read_region(options.default_region)
        added = tags.clean(options.tags)
        lists = read_list_ids(options.list_ids)
    # Of a held import the client says which columns mean what.
    header = not options.hold or layout.kind == "vcard" or is_header(layout.titles)
    columns = suggest(layout.titles, header=header)
    if not options.hold:
        check_identifies(columns)
    return Plan(
        encoding=layout.encoding,
        delimiter=layout.delimiter,
        preamble=layout.preamble,
        columns=columns,
        on_duplicate=convert.ON_DUPLICATE.get(options.on_duplicate, "skip"),
        default_region=region,
        tags=tuple(added),
        list_ids=lists,
        kind=layout.kind,
        sheet=layout.sheet,
        has_header=header,
    )


def read_list_ids(public_ids: Sequence[str]) -> tuple[str, ...]:
    """As a plan keeps them. Raises NotFound, Refused."""
    if len(public_ids) > limits.LISTS:
        raise Refused(invalid("list_ids", f"At most {limits.LISTS} lists at once."))
    return tuple(dict.fromkeys(str(errors.parse_id("lst", one, kind="list")) for one in public_ids))


def check_identifies(columns: Sequence[Column]) -> None:
    """Raises InvalidArgument(UNKNOWN_COLUMNS)."""
    if not identifies(columns):
        raise InvalidArgument(
            Reason.UNKNOWN_COLUMNS,
            "No column is one of phone, email and external_id: by its title, or as it is mapped.",
            metadata={"columns": ",".join(column.title for column in columns)[:1000]},
        )


def file_name(given: str) -> str:
    """Without the folders that some browsers send along."""
    return given.replace("\0", "").replace("\\", "/").rpartition("/")[2][:FILE_NAME_CHARACTERS]


def too_large(limit_bytes: int) -> ResourceExhausted:
    return ResourceExhausted(
        Reason.PAYLOAD_TOO_LARGE,
        f"An upload has at most {limit_bytes} bytes.",
        metadata={"limit_bytes": str(limit_bytes)},
    )
