"""A file of phones and emails for the do-not-contact list: read as it streams in, staged, and put on the list at its
end in one transaction. The whole file or nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from carillon.contacts.v1 import contacts_pb2
from carillon.contacts.v1 import suppression_uploads_pb2 as pb
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import Aborted, InvalidArgument, Reason, ResourceExhausted
from chassis.outbox import MAX_OBJECTS, Event
from formats import phones
from formats.layout import Empty
from formats.records import Broken, Record, Unreadable
from formats.stream import open_table
from services.contacts import convert, errors
from services.contacts.addresses import read_email
from services.contacts.domain import limits
from services.contacts.domain.problems import Refused, invalid
from services.contacts.imports.titles import field_of
from services.contacts.intake import INVALID_EMAIL, INVALID_PHONE, read_region
from services.contacts.suppressions import staging
from services.contacts.suppressions.record import Suppression
from services.contacts.suppressions.staging import Address

# Rows that are read, and addresses that are put on the list, by one statement.
BATCH_ROWS = 500
MAX_ERRORS = 100
KEYS = ("phone", "email")


@dataclass(frozen=True, slots=True)
class Options:
    region: str | None
    channels: list[str]
    reason: str


@dataclass(slots=True)
class Reading:
    """How far a file has been read. Columns: where phone, email and reason are."""

    options: Options
    titles: Sequence[str]
    columns: dict[str, int]
    rows: int = 0
    failed: int = 0
    addresses: int = 0
    errors: list[contacts_pb2.RowError] = field(default_factory=list)

    def understand(self, batch: Sequence[Record]) -> list[Address]:
        """The addresses of the rows that are whole; counts and names the others."""
        found: list[Address] = []
        for row, cells in batch:
            self.rows += 1
            try:
                found += self._row(cells)
            except RowRefused as refused:
                self._fail(row, refused)
        self.addresses += len(found)
        return found

    def _row(self, cells: list[str] | Broken) -> list[Address]:
        if isinstance(cells, Broken):
            raise RowRefused(Reason.VALIDATION_FAILED, cells.reason)
        phone, email, reason = (self._cell(cells, name) for name in ("phone", "email", "reason"))
        if not phone and not email:
            raise RowRefused(Reason.VALIDATION_FAILED, "The row has neither a phone nor an email")
        if len(reason) > limits.REASON_CHARACTERS or "\0" in reason:
            raise RowRefused(
                Reason.VALIDATION_FAILED, f"reason has at most {limits.REASON_CHARACTERS} characters", "reason"
            )
        reason = reason or self.options.reason
        found: list[Address] = []
        if phone:
            number = phones.normalise(phone, self.options.region)
            if number is None:
                raise RowRefused(Reason.INVALID_PHONE, INVALID_PHONE, "phone")
            found.append(Address(ids.new(), number.e164, None, reason))
        if email:
            address = read_email(email)
            if address is None:
                raise RowRefused(Reason.INVALID_EMAIL, INVALID_EMAIL, "email")
            found.append(Address(ids.new(), address.normal, address.address, reason))
        return found

    def _cell(self, cells: list[str], name: str) -> str:
        at = self.columns.get(name, len(cells))
        return cells[at].strip() if at < len(cells) else ""

    def _fail(self, row: int, refused: "RowRefused") -> None:
        self.failed += 1
        if len(self.errors) < MAX_ERRORS:
            column = self.titles[self.columns[refused.column]] if refused.column else ""
            self.errors.append(contacts_pb2.RowError(row=row, code=refused.code, reason=refused.detail, column=column))


class RowRefused(Exception):
    def __init__(self, code: str, detail: str, column: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.column = column


class SuppressionUploads:
    def __init__(self, db: Database, *, limit_bytes: int) -> None:
        self._db = db
        self._limit_bytes = limit_bytes

    async def upload(
        self, call: Call, requests: AsyncIterator[pb.UploadSuppressionsRequest]
    ) -> pb.UploadSuppressionsResponse:
        """Raises InvalidArgument, ResourceExhausted(PAYLOAD_TOO_LARGE), Aborted(UPLOAD_INCOMPLETE)."""
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("options"):
            raise errors.invalid([invalid("options", "An upload begins with its options.")])
        with errors.refusing():
            options = read_options(first.options)
        upload_id, digest = ids.new(), hashlib.sha256()
        try:
            reading = await self._stage(call, upload_id, options, content(requests, self._limit_bytes, digest))
            told_apart = call.over(digest.digest(), first.options.SerializeToString(deterministic=True))
            async with self._db.write(told_apart) as tx:
                imported, updated = await take(tx, upload_id, options)
                return await tx.reply(
                    pb.UploadSuppressionsResponse(
                        imported=imported,
                        updated=updated,
                        duplicates=reading.addresses - imported - updated,
                        failed=reading.failed,
                        errors=reading.errors,
                    )
                )
        finally:
            async with self._db.write(call.account) as tx:
                await staging.drop(tx, upload_id)

    async def _stage(self, call: Call, upload_id: UUID, options: Options, source: AsyncIterator[bytes]) -> Reading:
        try:
            table = await open_table(source, lambda titles: len(columns_of(titles)))
            reading = Reading(options, table.layout.titles, must_identify(table.layout.titles))
            async for batch in table.batches(BATCH_ROWS):
                addresses = reading.understand(batch)
                if addresses:
                    async with self._db.write(call.account) as tx:
                        await staging.stage(tx, upload_id, addresses)
        except Unreadable as unreadable:
            raise InvalidArgument(Reason.FILE_UNREADABLE, str(unreadable)) from unreadable
        except Empty as empty:
            raise InvalidArgument(Reason.FILE_EMPTY, "The file has no rows.") from empty
        if reading.rows == 0:
            raise InvalidArgument(Reason.FILE_EMPTY, "The file has no rows.")
        return reading


async def take(tx: WriteTx, upload_id: UUID, options: Options) -> tuple[int, int]:
    """Puts what was staged on the list, and tells of it; how many entries are new, and how many cover more now."""
    # To the microsecond, as it is stored: it tells new entries from widened ones.
    now = datetime.now(UTC)
    imported = updated = 0
    last: str | None = ""
    while last is not None:
        entries, last = await staging.take(
            tx, upload_id, above=last, limit=BATCH_ROWS, channels=options.channels, at=now
        )
        new = [entry for entry in entries if entry.created_at == now]
        widened = [entry for entry in entries if entry.created_at != now]
        tell(tx, "suppression.created", new)
        tell(tx, "suppression.updated", widened)
        imported += len(new)
        updated += len(widened)
        await asyncio.sleep(0)
    return imported, updated


def tell(tx: WriteTx, event_type: str, entries: Sequence[Suppression]) -> None:
    for start in range(0, len(entries), MAX_OBJECTS):
        told = map(convert.suppression, entries[start : start + MAX_OBJECTS])
        data = events_pb2.SuppressionsChanged(suppressions=told).SerializeToString()
        tx.add_events([Event(event_type, tx.account, data, bulk=True)])


def read_options(options: pb.UploadSuppressionsOptions) -> Options:
    """Raises Refused."""
    if len(options.reason) > limits.REASON_CHARACTERS or "\0" in options.reason:
        raise Refused(invalid("reason", f"reason has at most {limits.REASON_CHARACTERS} characters."))
    if any(channel not in convert.CHANNEL_NAMES for channel in options.channels):
        raise Refused(invalid("channels", "A channel is not known."))
    return Options(
        region=read_region(options.default_region),
        channels=sorted({convert.CHANNEL_NAMES[channel] for channel in options.channels}),
        reason=options.reason,
    )


def columns_of(titles: Sequence[str]) -> dict[str, int]:
    """Where phone, email and reason are; the first column of each."""
    found: dict[str, int] = {}
    for at, title in enumerate(titles):
        name = field_of(title)
        if name in KEYS:
            found.setdefault(name, at)
        elif title.strip().lower() == "reason":
            found.setdefault("reason", at)
    return found


def must_identify(titles: Sequence[str]) -> dict[str, int]:
    """Raises InvalidArgument(UNKNOWN_COLUMNS)."""
    found = columns_of(titles)
    if not found.keys() & set(KEYS):
        raise InvalidArgument(
            Reason.UNKNOWN_COLUMNS,
            "No column is called phone or email, or a name known for one of them.",
            metadata={"columns": ",".join(titles)[:1000]},
        )
    return found


async def content(
    requests: AsyncIterator[pb.UploadSuppressionsRequest], limit_bytes: int, digest: "hashlib._Hash"
) -> AsyncIterator[bytes]:
    """The file's bytes, which go into the digest. Raises where they end before `end`, and where they are too many."""
    total = 0
    async for request in requests:
        if request.HasField("end"):
            return
        total += len(request.chunk)
        if total > limit_bytes:
            raise ResourceExhausted(
                Reason.PAYLOAD_TOO_LARGE,
                f"An upload has at most {limit_bytes} bytes.",
                metadata={"limit_bytes": str(limit_bytes)},
            )
        if request.chunk:
            digest.update(request.chunk)
            yield request.chunk
    raise Aborted(Reason.UPLOAD_INCOMPLETE, "The upload broke off before its end; nothing was kept.")
