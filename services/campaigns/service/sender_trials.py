"""Test messages of a sender: whether its provider takes one at all."""

from typing import Any, Protocol

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.db import Database
from services.campaigns import addresses, checks, convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.peers import Contacts
from services.campaigns.repository import senders as queries
from services.campaigns.sandboxing import is_sandboxed
from services.campaigns.service.replays import check_first
from services.campaigns.service.trials import Sending, message_key, tried

MAX_TEXT = 1600


class OfSender(Protocol):
    def __call__(self, row: Any, *, is_test: bool) -> Sending:
        """row: a sender. The message says what the variable `text` holds."""
        ...


class SenderTrials:
    def __init__(self, db: Database, contacts: Contacts, sending: OfSender) -> None:
        self._db = db
        self._contacts = contacts
        self._sending = sending

    async def send(self, call: Call, request: pb.TestSenderRequest) -> pb.TestSenderResponse:
        sender_id = checks.reference(convert.SENDER, "sender", request.id)
        async with self._db.read(call.account) as tx:
            await check_first(tx, call)
            row = await queries.get(tx, call.account, sender_id)
        if row is None:
            raise errors.not_found("sender", request.id)
        channel = Channel(row["channel"])
        address = addresses.normalise(request.to, channel, region=None)
        if address is None:
            raise errors.invalid("/to", f"This is no {channel.address}.", code=f"invalid_{channel.address}")
        text = checks.name(request.text, pointer="/text", longest=MAX_TEXT)
        refusal = (await self._contacts.refusals(call.account, channel, [(None, address)]))[0]
        result = await tried(
            self._sending(row, is_test=is_sandboxed(call)),
            address,
            key=message_key(call, sender_id, address),
            known={"text": text},
            refusal=refusal,
        )
        async with self._db.write(call) as tx:
            return await tx.reply(pb.TestSenderResponse(result=result, channel=convert.CHANNELS[channel]))
