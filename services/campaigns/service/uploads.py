"""Recipients from a file: read as it streams in, staged, and taken into the ledger in one transaction at its end."""

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.errors import InvalidArgument, Reason, ResourceExhausted
from formats.layout import Empty
from formats.records import Broken, Record, Unreadable
from formats.stream import open_table
from services.campaigns import addresses, checks, convert, errors
from services.campaigns.domain.audience import Channel, address_column, variable_name
from services.campaigns.domain.campaign import InvalidState, Status, Verb, after
from services.campaigns.domain.funnel import funnel
from services.campaigns.domain.recipient import Reason as Left
from services.campaigns.domain.stats import Stats
from services.campaigns.peers import MAX_TARGETS, Contacts
from services.campaigns.repository import audiences as audience_queries
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.repository import uploads as queries
from services.campaigns.sandboxing import check_may_change
from services.campaigns.zones import zone_of

CHUNK_SIZE = 500
MAX_ERRORS = 100
MAX_VARIABLES_BYTES = 16 * 1024


class Uploads:
    def __init__(self, db: Database, contacts: Contacts, *, limit_bytes: int) -> None:
        self._db = db
        self._contacts = contacts
        self._limit = limit_bytes

    async def upload(
        self, call: Call, requests: AsyncIterator[pb.UploadRecipientsRequest]
    ) -> pb.UploadRecipientsResponse:
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("options"):
            raise errors.invalid("/options", "An upload begins with its options.")
        options = first.options
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", options.campaign_id)
        channel = await self._channel(call, options, campaign_id)
        reading = Reading(upload_id=ids.new(), channel=channel, region=checks.region(options.default_region))
        try:
            digest = hashlib.sha256()
            await self._read(call, reading, chunks(requests, self._limit, digest))
            told_apart = call.over(digest.digest(), options.SerializeToString(deterministic=True))
            return await self._take(told_apart, reading, options.campaign_id, campaign_id)
        finally:
            async with self._db.write(call.account) as tx:
                await queries.drop(tx, reading.upload_id)

    async def _channel(self, call: Call, options: pb.UploadRecipientsOptions, campaign_id: UUID) -> Channel:
        """Refuses before a long file is read what would be refused after it."""
        async with self._db.read(call.account) as tx:
            row = await campaign_queries.get(tx, call.account, campaign_id)
        if row is None:
            raise errors.not_found("campaign", options.campaign_id)
        if call.idempotency is None:
            # A repeated call must get its first answer, also when the campaign has gone on since.
            check_takes_uploads(row)
        return Channel(row["channel"])

    async def _read(self, call: Call, reading: "Reading", source: AsyncIterator[bytes]) -> None:
        try:
            table = await open_table(source, lambda titles: address_column(titles, reading.channel) is not None)
            reading.choose_columns(table.layout.titles)
            async for batch in table.batches(MAX_TARGETS):
                await self._stage(call, reading, batch)
        except Unreadable as unreadable:
            raise InvalidArgument(Reason.FILE_UNREADABLE, str(unreadable)) from unreadable
        except Empty as empty:
            raise no_rows() from empty
        if reading.rows == 0:
            raise no_rows()

    async def _stage(self, call: Call, reading: "Reading", batch: list[Record]) -> None:
        found = reading.understand(batch)
        async with self._db.write(call.account) as tx:
            new = await queries.stage(
                tx,
                reading.upload_id,
                addresses=list(found),
                row_numbers=[row.number for row in found.values()],
                recipient_ids=[ids.new() for _ in found],
                variables=[row.variables for row in found.values()],
                timezones=[row.timezone for row in found.values()],
            )
        reading.duplicates += len(found) - len(new)
        asked = [address for address in found if address in new]
        if not asked:
            return
        refusals = await self._contacts.refusals(call.account, reading.channel, [(None, address) for address in asked])
        refused = {address: why for address, why in zip(asked, refusals, strict=True) if why}
        if refused:
            reading.leave_out({found[address].number: why for address, why in refused.items()})
            async with self._db.write(call.account) as tx:
                await queries.suppress(tx, reading.upload_id, refused)

    async def _take(
        self, call: Call, reading: "Reading", public_id: str, campaign_id: UUID
    ) -> pb.UploadRecipientsResponse:
        async with self._db.write(call) as tx:
            row = await campaign_queries.lock(tx, tx.account, campaign_id)
            if row is None:
                raise errors.not_found("campaign", public_id)
            check_may_change(call, row)
            check_takes_uploads(row)
            if row["channel"] != reading.channel:
                raise errors.audience_conflict("The campaign's channel was changed during the upload.")
            staged = await queries.staged(tx, reading.upload_id)
            imported = await queries.take(tx, reading.upload_id, campaign_id, chunk_size=CHUNK_SIZE)
            duplicates = reading.duplicates + staged - imported
            left_out = funnel(reading.left_out | {Left.DUPLICATE: duplicates}, final=0)
            await audience_queries.add_uploaded(tx, campaign_id, left_out)
            await campaign_queries.add_stats(tx, tx.account, campaign_id, delta=Stats(total=imported, pending=imported))
            return await tx.reply(
                pb.UploadRecipientsResponse(
                    imported=imported,
                    failed=reading.failed,
                    duplicates=duplicates,
                    suppressed=reading.suppressed,
                    errors=reading.errors,
                )
            )


class Row(NamedTuple):
    """A row with an address."""

    number: int
    # A JSON object.
    variables: str
    # As the column `timezone` says, else the phone.
    timezone: str


@dataclass(slots=True)
class Reading:
    """How far an upload has been read."""

    upload_id: UUID
    channel: Channel
    region: str | None
    rows: int = 0
    failed: int = 0
    duplicates: int = 0
    suppressed: int = 0
    errors: list[contacts.RowError] = field(default_factory=list)
    # Rows by the reason for which they are left out; duplicates are counted at the end.
    left_out: Counter[str] = field(default_factory=Counter)
    column: int = 0
    column_name: str = ""
    # By column; empty where a column is no variable.
    variables: list[str] = field(default_factory=list)

    def choose_columns(self, columns: Sequence[str]) -> None:
        """Raises InvalidArgument(UNKNOWN_COLUMNS)."""
        column = address_column(columns, self.channel)
        if column is None:
            raise InvalidArgument(
                Reason.UNKNOWN_COLUMNS,
                f"The file needs a column {self.channel.address!r}; it has {', '.join(columns)[:500]}.",
                metadata={"columns": ",".join(columns)[:1000]},
            )
        self.column, self.column_name = column, columns[column]
        self.variables = [""] * len(columns)
        for at, header in enumerate(columns):
            name = variable_name(header)
            if at != column and name not in self.variables:
                self.variables[at] = name

    def understand(self, batch: list[Record]) -> dict[str, Row]:
        """The rows that are whole, by address; counts the others."""
        found: dict[str, Row] = {}
        for row, cells in batch:
            self.rows += 1
            if isinstance(cells, Broken) or any(cells[len(self.variables) :]):
                reason = cells.reason if isinstance(cells, Broken) else "More cells than the header has"
                self._fail(row, reason, Left.INVALID_ADDRESS, code=Reason.VALIDATION_FAILED)
                continue
            text = cells[self.column].strip() if self.column < len(cells) else ""
            address = addresses.normalise(text, self.channel, region=self.region) if text else None
            if address is None:
                reason = f"Invalid {self.channel.address} format" if text else f"Missing {self.channel.address}"
                self._fail(row, reason, Left.INVALID_ADDRESS if text else Left.NO_ADDRESS)
                continue
            if address in found:
                self.duplicates += 1
                continue
            values = {name: cell for name, cell in zip(self.variables, cells, strict=False) if name}
            dumped = checks.dumped(values)
            if len(dumped) > MAX_VARIABLES_BYTES:
                reason = f"More than {MAX_VARIABLES_BYTES} bytes of variables"
                self._fail(row, reason, Left.INVALID_ADDRESS, code=Reason.VALIDATION_FAILED)
                continue
            found[address] = Row(row, dumped, zone_of(values.get("timezone", ""), address))
        return found

    def leave_out(self, refused: dict[int, str]) -> None:
        """refused: row number to why contacts would not have it messaged."""
        for row, why in refused.items():
            if why == Left.INVALID_ADDRESS:
                self._fail(row, f"Invalid {self.channel.address}", why)
            else:
                self.suppressed += 1
                self.left_out[why] += 1

    def _fail(self, row: int, reason: str, why: str, *, code: str = "") -> None:
        """why: as the funnel counts it. A row that cannot be read is no valid address either."""
        self.failed += 1
        self.left_out[why] += 1
        if len(self.errors) < MAX_ERRORS:
            code = code or f"invalid_{self.channel.address}"
            self.errors.append(contacts.RowError(row=row, code=code, reason=reason, column=self.column_name))


def no_rows() -> InvalidArgument:
    return InvalidArgument(Reason.FILE_EMPTY, "The file has no rows.")


async def chunks(
    requests: AsyncIterator[pb.UploadRecipientsRequest], limit: int, digest: "hashlib._Hash"
) -> AsyncIterator[bytes]:
    """The file's bytes, which go into the digest. Raises where they end before `end`, and where they are too many."""
    total = 0
    async for request in requests:
        if request.HasField("end"):
            return
        total += len(request.chunk)
        if total > limit:
            raise ResourceExhausted(
                Reason.PAYLOAD_TOO_LARGE,
                f"The file has more than {limit} bytes.",
                metadata={"limit_bytes": str(limit)},
            )
        if request.chunk:
            digest.update(request.chunk)
            yield request.chunk
    raise InvalidArgument(Reason.UPLOAD_INCOMPLETE, "The upload broke off before its end; nothing was kept.")


def check_takes_uploads(row: asyncpg.Record) -> None:
    try:
        after(Status(row["status"]), Verb.UPLOAD)
    except InvalidState as error:
        raise errors.invalid_state(error) from error
    if kinds := campaign_queries.audience(row).kinds:
        raise errors.audience_conflict(f"The campaign has its {kinds[0]}; a campaign has one kind of audience.")
