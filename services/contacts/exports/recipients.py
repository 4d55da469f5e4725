"""Lines of a campaign's ledger, which the campaigns service hands out page by page, in the order of the ledger."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC

import orjson

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import contacts_pb2
from services.contacts.domain.cells import marked
from services.contacts.exports.batch import Batch, Content, Flowing, Sheet
from services.contacts.exports.documents import moment
from services.contacts.exports.peers import Campaigns
from services.contacts.exports.repository import Lease

TIMES = ("sent_at", "delivered_at", "opened_at", "clicked_at")
TITLES = ("phone", "email", "status", "reason", *TIMES, "variables", "contact_id", "id")
# The position behind the last page, which no cursor is.
END = "."

# What the API answers with for a line; the variables are the text of a JSON object.
Document = dict[str, str | None]


class Ledger:
    def __init__(self, lease: Lease, campaigns: Campaigns) -> None:
        self._lease = lease
        self._campaigns = campaigns

    async def page(self, position: str) -> tuple[list[Document], str] | None:
        """The lines behind the position, and theirs; None behind the last. Raises chassis.errors."""
        if position == END:
            return None
        asked = self._lease.request
        found, channel, cursor = await self._campaigns.recipients(
            self._lease.account, asked.campaign_id, status=asked.recipient_status, cursor=position
        )
        address = "email" if channel == contacts_pb2.CHANNEL_EMAIL else "phone"
        return [document(one, address) for one in found], cursor or END


class RecipientLines(Flowing):
    head = b""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def after(self, position: str) -> Batch | None:
        page = await self._ledger.page(position)
        return None if page is None else Batch(self.write(page[0]), len(page[0]), page[1])

    def write(self, lines: Sequence[Document]) -> bytes:
        whole = [{**line, "variables": orjson.Fragment(line["variables"] or "{}")} for line in lines]
        return b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in whole)


class RecipientCsv(RecipientLines):
    head = ",".join(TITLES).encode() + b"\n"

    def write(self, lines: Sequence[Document]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(map(cells, lines))
        return text.getvalue().encode()


class RecipientSheet(Sheet):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__(TITLES)
        self._ledger = ledger

    async def after(self, position: str) -> Batch | None:
        """Raises Full."""
        page = await self._ledger.page(position)
        if page is None:
            return None
        await self.add(list(map(cells, page[0])))
        return Batch(b"", len(page[0]), page[1])


def open_recipients(lease: Lease, campaigns: Campaigns) -> Content:
    ledger = Ledger(lease, campaigns)
    if lease.format == "xlsx":
        return RecipientSheet(ledger)
    return RecipientCsv(ledger) if lease.format == "csv" else RecipientLines(ledger)


def document(line: campaigns_pb2.Recipient, address: str) -> Document:
    return {
        address: line.address or None,
        "variables": line.variables_json or "{}",
        "status": campaigns_pb2.RecipientStatus.Name(line.status).removeprefix("RECIPIENT_STATUS_").lower(),
        "id": line.id,
        "contact_id": line.contact_id or None,
        "reason": line.reason or None,
        **{name: time(line, name) for name in TIMES},
    }


def time(line: campaigns_pb2.Recipient, name: str) -> str | None:
    return moment(getattr(line, name).ToDatetime(UTC)) if line.HasField(name) else None  # type: ignore[arg-type]


def cells(line: Document) -> list[str]:
    """In the order of TITLES. A phone stays as it is, an email and a reason may begin like a formula."""
    texts = {title: line.get(title) or "" for title in TITLES}
    return [text if title == "phone" else marked(text) for title, text in texts.items()]
