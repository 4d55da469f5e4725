"""Delivery receipts: taken when they are stored. The workers apply them."""

from collections.abc import Callable
from datetime import UTC, datetime

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from services.campaigns import checks, convert, errors
from services.campaigns.repository import receipts as queries
from services.campaigns.repository import senders as sender_queries
from services.campaigns.sealing import matches

MAX_RECEIPTS = 1000
MAX_ID = 256
MAX_REASON = 500


class Receipts:
    def __init__(self, db: Database, *, wake: Callable[[], None]) -> None:
        self._db = db
        self._wake = wake

    async def record(self, call: Call, request: pb.RecordReceiptsRequest) -> pb.RecordReceiptsResponse:
        """Answers when they are committed: a receipt that was answered is never lost."""
        if len(request.receipts) > MAX_RECEIPTS:
            raise errors.invalid("/receipts", f"At most {MAX_RECEIPTS} receipts at a time.")
        now = datetime.now(UTC)
        receipts = [known(receipt, at, now) for at, receipt in enumerate(request.receipts)]
        sender_id = ids.decode(convert.SENDER, request.sender_id)
        async with self._db.write(call) as tx:
            sender = None if sender_id is None else await sender_queries.get(tx, tx.account, sender_id)
            # Also of a sender that is not there: a caller without the token learns nothing.
            if sender is None or not matches(request.token.rpartition(".")[2], sender["receipts_digest"]):
                raise errors.not_the_senders_token()
            if receipts:
                await queries.store(tx, sender["id"], receipts)
            answer = await tx.reply(pb.RecordReceiptsResponse(stored=len(receipts)))
        self._wake()
        return answer


def known(receipt: pb.Receipt, at: int, now: datetime) -> queries.NewReceipt:
    pointer = f"/receipts/{at}"
    status = convert.RECEIPT_STATUS_NAMES.get(receipt.status)
    if status is None:
        raise errors.invalid(f"{pointer}/status", "status must be delivered or failed.")
    if not 1 <= len(receipt.provider_message_id) <= MAX_ID:
        raise errors.invalid(f"{pointer}/id", f"id must have 1 to {MAX_ID} characters.")
    happened = checks.moment(receipt.at, f"{pointer}/at") if receipt.HasField("at") else now
    return queries.NewReceipt(
        provider_message_id=receipt.provider_message_id,
        status=status,
        reason=receipt.reason.replace("\0", "")[:MAX_REASON],
        # A provider's clock may run ahead.
        at=min(happened, now),
    )
