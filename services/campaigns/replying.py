"""Tells contacts what recipients sent, and the world that they did.

    claimed → contacts takes it (timeline, consent) → one transaction: done, with its `message.received` event

Killed at any point it is claimed again, and contacts knows a reply that it took before by its id.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import asyncpg
import structlog

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2, replies_pb2
from carillon.events.v1 import events_pb2 as events
from chassis import ids
from chassis.db import Database, WriteTx
from chassis.errors import CarillonError, DeadlineExceeded, Unavailable
from chassis.ids import AccountId
from chassis.outbox import Event
from services.campaigns import convert, metrics
from services.campaigns.domain.opt_words import Word
from services.campaigns.repository import inbound as queries
from services.campaigns.repository.inbound import Place

log = structlog.get_logger()

BATCH = 100
CLAIM_SECONDS = 15.0
# How long an acknowledgement may wait for contacts.
PATIENCE_SECONDS = 2.0
NAP_SECONDS = 0.02
LONGEST_DELAY = 60.0

SAYS = {
    Word.OPT_OUT: contacts_pb2.PREFERENCE_OPTED_OUT,
    Word.OPT_IN: contacts_pb2.PREFERENCE_OPTED_IN,
    Word.NONE: contacts_pb2.PREFERENCE_UNSPECIFIED,
}
WORDS = {Word.OPT_OUT: pb.WORD_OPT_OUT, Word.OPT_IN: pb.WORD_OPT_IN, Word.NONE: pb.WORD_UNSPECIFIED}
REPLY = "reply"

# Hands replies of one account to contacts, whose answer names the contact of each. Raises chassis.errors.
Tell = Callable[[AccountId, Sequence[replies_pb2.Reply], float], Awaitable[Sequence[str]]]


class Replies:
    def __init__(self, db: Database, tell: Tell) -> None:
        self._db = db
        self._tell = tell

    async def step(self) -> bool:
        """What is due, of any account (for the work role); False where nothing was."""
        async with self._db.across() as tx:
            rows = await queries.claim(tx, seconds=CLAIM_SECONDS, limit=BATCH)
        by_account: dict[UUID, list[asyncpg.Record]] = {}
        for row in rows:
            by_account.setdefault(row["account_id"], []).append(row)
        for account, group in by_account.items():
            await self._hand_over(AccountId(account), group, patience=CLAIM_SECONDS / 2)
        return bool(rows)

    async def tell_now(self, account: AccountId, places: Sequence[Place]) -> bool:
        """Whether contacts has every opt-out and opt-in of these addresses, given a moment."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            async with self._db.write(account) as tx:
                if not await queries.has_open_word(tx, account, places):
                    return True
                rows = await queries.claim(
                    tx, seconds=CLAIM_SECONDS, limit=BATCH, account=account, places=list(dict.fromkeys(places))
                )
            if rows:
                if not await self._hand_over(account, rows, patience=left):
                    return False
            else:
                # Somebody else has them in hand.
                await asyncio.sleep(NAP_SECONDS)
        return False

    async def _hand_over(self, account: AccountId, rows: Sequence[asyncpg.Record], *, patience: float) -> bool:
        """Whether contacts took them."""
        async with self._db.write(account) as tx:
            lines = await queries.answered(tx, rows)
        try:
            contacts = await self._tell(account, [reply(row, lines.get(at)) for at, row in enumerate(rows)], patience)
        except CarillonError as error:
            metrics.REPLIES_FAILED.inc()
            if len(rows) > 1 and not isinstance(error, Unavailable | DeadlineExceeded):
                # One of them is refused: the others need not wait for it.
                return all([await self._hand_over(account, [row], patience=patience) for row in rows])
            log.warning("replies.not_taken", reason=error.reason, count=len(rows))
            delay = min(2.0 ** min(row["tries"] for row in rows) / 2, LONGEST_DELAY)
            async with self._db.write(account) as tx:
                await queries.release(tx, rows, seconds=delay)
            return False
        async with self._db.write(account) as tx:
            await conclude(tx, rows, lines, contacts)
        for row in rows:
            metrics.REPLIES.labels(row["word"] or "none").inc()
        return True


async def conclude(
    tx: WriteTx, rows: Sequence[asyncpg.Record], lines: dict[int, asyncpg.Record], contacts: Sequence[str]
) -> None:
    known = [lines.get(at) for at in range(len(rows))]
    ours = await queries.done(
        tx, rows, [(None, None) if line is None else (line["campaign_id"], line["id"]) for line in known]
    )
    tx.add_events(
        received_event(row, line, contact)
        for row, line, contact in zip(rows, known, contacts, strict=True)
        if row["id"] in ours and row["source"] == REPLY
    )


def reply(row: asyncpg.Record, line: asyncpg.Record | None) -> replies_pb2.Reply:
    return replies_pb2.Reply(
        id=ids.encode(convert.MESSAGE, row["id"]),
        channel=convert.CHANNELS[row["channel"]],
        address=row["address"],
        to=row["to_address"],
        text=row["text"],
        at=convert.timestamp(row["at"]),
        says=SAYS[Word(row["word"])],
        source=row["source"],
        campaign_id=convert.public(convert.CAMPAIGN, None if line is None else line["campaign_id"]),
        recipient_id=convert.public(convert.RECIPIENT, None if line is None else line["id"]),
        is_message=row["source"] == REPLY,
    )


def received_event(row: asyncpg.Record, line: asyncpg.Record | None, contact: str) -> Event:
    """At the time at which it came, which subscribers go by; in the live lane, whatever the campaign's size."""
    told = [] if line is None else [convert.recipient(line)]
    if contact:
        told = told or [pb.Recipient()]
        told[0].contact_id = contact
    data = events.MessagesChanged(
        campaign_id=convert.public(convert.CAMPAIGN, None if line is None else line["campaign_id"]),
        channel=convert.CHANNELS[row["channel"]],
        recipients=told,
        received=pb.ReceivedMessage(
            id=ids.encode(convert.MESSAGE, row["id"]),
            sender_id=ids.encode(convert.SENDER, row["sender_id"]),
            address=row["address"],
            to=row["to_address"],
            text=row["text"],
            at=convert.timestamp(row["at"]),
            word=WORDS[Word(row["word"])],
            provider_message_id=row["provider_message_id"],
        ),
    )
    return Event("message.received", AccountId(row["account_id"]), data.SerializeToString(), time=row["at"])
