"""The links of emails: openings, clicks and opt-outs."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from chassis.errors import CarillonError, NotFound, Reason
from chassis.group_commit import GroupCommit
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.campaigns import convert, metrics, tracking
from services.campaigns.domain.recipient import Receipt
from services.campaigns.replying import Replies
from services.campaigns.repository import inbound as inbound_queries
from services.campaigns.repository import receipts as receipt_queries
from services.campaigns.repository.receipts import Followed
from services.campaigns.tracking import Kind

KINDS = {
    Kind.OPEN: pb.LINK_KIND_OPEN,
    Kind.CLICK: pb.LINK_KIND_CLICK,
    Kind.UNSUBSCRIBE: pb.LINK_KIND_UNSUBSCRIBE,
}
TOLD = {Kind.OPEN: Receipt.OPENED, Kind.CLICK: Receipt.CLICKED}
# What a waiting one takes, about.
SIZE = 200


class FollowedLinks:
    def __init__(self, db: Database, sealer: Sealer, *, replies: Replies, wake: Callable[[], None]) -> None:
        """wake: called when there is something for the workers."""
        self._db = db
        self._sealer = sealer
        self._replies = replies
        self._wake = wake
        self._commits: GroupCommit[Followed, None] = GroupCommit(metrics.of_hooks("links"), self._store)

    async def follow(self, call: Call, request: pb.FollowLinkRequest) -> pb.FollowLinkResponse:
        """Answers when it is stored. Raises NotFound, ResourceExhausted(OVERLOADED)."""
        account = ids.encode_account(call.account).removeprefix("acct_")
        link = tracking.read(self._sealer, f"{account}.{request.token}")
        if link is None:
            raise NotFound(Reason.NOT_FOUND, "There is no such link.")
        applied = False
        if link.kind in TOLD:
            name = ids.encode(convert.RECIPIENT, link.recipient)
            followed = Followed(link.recipient, name, TOLD[link.kind].value, datetime.now(UTC))
            await self._commits.add(call.account, followed, size=SIZE)
        elif request.unsubscribe:
            applied = await self._unsubscribe(call.account, link.recipient)
        self._wake()
        return pb.FollowLinkResponse(kind=KINDS[link.kind], url=link.extra.decode(), applied=applied)

    async def _store(self, account: AccountId, group: Sequence[Followed]) -> list[CarillonError | None]:
        async with self._db.write(account) as tx:
            await receipt_queries.store_followed(tx, group)
        return [None] * len(group)

    async def _unsubscribe(self, account: AccountId, recipient: UUID) -> bool:
        """Stored in any case; whether contacts knows of it."""
        async with self._db.write(account) as tx:
            place = await inbound_queries.store_link(tx, recipient, ids.new())
        return place is None or await self._replies.tell_now(account, [place])
