"""What providers post: authenticated, understood, and stored in one commit with what else comes at the moment.

A receipt is acknowledged when it is stored; so is a message, unless it opts out or in: then contacts has it first, so
that nothing is sent to somebody whose STOP was acknowledged. While contacts does not answer such a message is stored
too, and told to contacts as soon as it does; the provider hears 503.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import orjson

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.errors import CarillonError, to_status
from chassis.group_commit import MAX_GROUP, GroupCommit
from chassis.ids import AccountId
from chassis.sealing import Sealer, matches
from services.campaigns import convert, errors, metrics
from services.campaigns.domain.audience import Channel
from services.campaigns.hooks import generic, twilio
from services.campaigns.hooks.request import Posted, SenderOf, Understood
from services.campaigns.replying import Replies
from services.campaigns.repository import inbound as inbound_queries
from services.campaigns.repository import receipts as receipt_queries
from services.campaigns.repository import senders as sender_queries

MAX_BODY = 1024 * 1024
MAX_CONTENT_TYPE = 200
MAX_QUERY = 2000

Dialect = Callable[[Posted, SenderOf], Understood]
# By what the sender's provider speaks; who has no language of its own speaks ours.
RECEIPTS: dict[str, Dialect] = {"twilio": twilio.receipts}
INBOUND: dict[str, Dialect] = {"twilio": twilio.inbound}
NAMES = {pb.HOOK_RECEIPTS: "receipts", pb.HOOK_INBOUND: "inbound"}


@dataclass(frozen=True, slots=True)
class Taken:
    """One request of a group."""

    sender_id: UUID
    request: pb.TakeHookRequest
    now: datetime


class Receipts:
    def __init__(
        self,
        db: Database,
        sealer: Sealer,
        *,
        public_url: str,
        replies: Replies,
        wake: Callable[[], None],
    ) -> None:
        """replies: tells contacts. wake: called when there is something for the workers."""
        self._db = db
        self._sealer = sealer
        self._public_url = public_url.rstrip("/")
        self._replies = replies
        self._wake = wake
        self._commits: GroupCommit[Taken, Understood] = GroupCommit(metrics.of_hooks("hooks"), self._store)

    async def take(self, call: Call, request: pb.TakeHookRequest) -> pb.TakeHookResponse:
        """Raises Unauthenticated, InvalidArgument, ResourceExhausted(OVERLOADED); Unavailable for an opt-out that is
        stored while contacts does not answer."""
        if request.hook not in NAMES:
            raise errors.invalid("/hook", "hook must be receipts or inbound.")
        for name, value, longest in (
            ("body", request.body, MAX_BODY),
            ("content_type", request.content_type, MAX_CONTENT_TYPE),
            ("query", request.query, MAX_QUERY),
        ):
            if len(value) > longest:
                raise errors.invalid(f"/{name}", f"{name} may have {longest} characters.")
        sender_id = ids.decode(convert.SENDER, request.sender_id)
        if sender_id is None:
            raise errors.not_the_senders_token()
        taken = Taken(sender_id, request, datetime.now(UTC))
        understood = await self._commits.add(call.account, taken, size=len(request.body))
        if understood.count:
            self._wake()
        words = [(message.channel, message.address) for message in understood.messages if message.word]
        if words and not await self._replies.tell_now(call.account, words):
            raise errors.not_heard_yet()
        answer = understood.answer
        return pb.TakeHookResponse(
            stored=understood.count,
            body=orjson.dumps({"stored": understood.count}) if answer is None else answer,
            content_type=understood.content_type,
        )

    async def take_many(self, call: Call, request: pb.TakeReceiptsRequest) -> pb.TakeReceiptsResponse:
        """Raises InvalidArgument; each post is refused by itself."""
        if not 1 <= len(request.posts) <= MAX_GROUP:
            raise errors.invalid("/posts", f"posts may be 1 to {MAX_GROUP}.")
        return pb.TakeReceiptsResponse(
            results=await asyncio.gather(*(self._taken(call, post) for post in request.posts))
        )

    async def _taken(self, call: Call, post: pb.TakeHookRequest) -> pb.TakenPost:
        try:
            if post.hook != pb.HOOK_RECEIPTS:
                raise errors.invalid("/hook", "hook must be receipts.")
            return pb.TakenPost(taken=await self.take(call, post))
        except CarillonError as error:
            return pb.TakenPost(refused=to_status(error).SerializeToString())

    async def _store(self, account: AccountId, group: Sequence[Taken]) -> list[Understood | CarillonError]:
        """In one transaction. Whoever is refused keeps nobody else from being stored."""
        async with self._db.write(account) as tx:
            rows = await sender_queries.some(tx, account, {taken.sender_id for taken in group})
            senders = {row["id"]: row for row in rows}
            results = [self._understood(senders.get(taken.sender_id), taken) for taken in group]
            await store(tx, [result for result in results if isinstance(result, Understood)])
        return results

    def _understood(self, row: asyncpg.Record | None, taken: Taken) -> Understood | CarillonError:
        request = taken.request
        # Also of a sender that is not there: a caller without the token learns nothing.
        if row is None or not matches(request.token.rpartition(".")[2], row["receipts_digest"]):
            return errors.not_the_senders_token()
        sender = SenderOf(row["id"], Channel(row["channel"]), orjson.loads(self._sealer.open(row["secrets"])))
        posted = Posted(
            body=request.body,
            content_type=request.content_type,
            url=self._url(row, request),
            signatures=dict(request.signatures),
            now=taken.now,
        )
        of_receipts = request.hook == pb.HOOK_RECEIPTS
        dialects, otherwise = (RECEIPTS, generic.receipts) if of_receipts else (INBOUND, generic.inbound)
        try:
            return dialects.get(row["provider"], otherwise)(posted, sender)
        except CarillonError as error:
            return error

    def _url(self, row: asyncpg.Record, request: pb.TakeHookRequest) -> str:
        """As the provider called it: what it signs."""
        path = hook_path(row["account_id"], row["id"], request.token.rpartition(".")[2], NAMES[request.hook])
        return self._public_url + path + (f"?{request.query}" if request.query else "")


async def store(tx: WriteTx, understood: Sequence[Understood]) -> None:
    receipts = [receipt for one in understood for receipt in one.receipts]
    if receipts:
        await receipt_queries.store(tx, receipts)
    messages = [message for one in understood for message in one.messages]
    if messages:
        await inbound_queries.store(tx, messages)


def hook_path(account: UUID, sender_id: UUID, secret: str, name: str) -> str:
    """Names the account, so that the gateway can pass a post on without asking whose it is."""
    token = f"{ids.encode_account(AccountId(account)).removeprefix('acct_')}.{secret}"
    return f"/hooks/{ids.encode(convert.SENDER, sender_id)}/{token}/{name}"
