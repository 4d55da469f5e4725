"""Test messages: a campaign's message to a few addresses, beside its ledger and its figures."""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.db import Database
from services.campaigns import addresses, checks, convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.campaign import InvalidState, Status, Verb, after
from services.campaigns.domain.recipient import Reason
from services.campaigns.domain.sending import Accepted, Answer, Barred, Refused, Unanswered
from services.campaigns.peers import Contacts
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.repository import trials as queries
from services.campaigns.sandboxing import is_sandboxed
from services.campaigns.service.previews import contact_values
from services.campaigns.service.replays import check_first
from services.campaigns.templating import TemplateError, Text

MAX_ADDRESSES = 10


class Sending(Protocol):
    """A campaign's text and its sender's provider."""

    @property
    def text(self) -> Text: ...
    @property
    def provider(self) -> Provider: ...
    def message(self, row: Mapping[str, Any]) -> Outbound: ...


class Once(Protocol):
    def __call__(self, row: asyncpg.Record, *, is_test: bool) -> Sending:
        """row: of repository.trials.context."""
        ...


class Trials:
    def __init__(self, db: Database, contacts: Contacts, sending: Once) -> None:
        self._db = db
        self._contacts = contacts
        self._sending = sending

    async def send(self, call: Call, request: pb.TestCampaignRequest) -> pb.TestCampaignResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", request.id)
        async with self._db.read(call.account) as tx:
            await check_first(tx, call)
            row = await queries.context(tx, call.account, campaign_id)
        if row is None:
            raise errors.not_found("campaign", request.id)
        check_testable(row)
        channel = Channel(row["channel"])
        to = read_addresses(request, channel)
        given = checks.json_object(request.variables_json, "/variables")
        sending = self._sending(row, is_test=is_sandboxed(call))
        # The address is that of whoever gets the message, whosever fields it shows.
        known = await contact_values(self._contacts, call, request.contact_id, sending.text) | given
        refusals = await self._contacts.refusals(call.account, channel, [(None, address) for address in to])
        results = await asyncio.gather(
            *(
                tried(sending, address, key=message_key(call, campaign_id, address), known=known, refusal=refusal)
                for address, refusal in zip(to, refusals, strict=True)
            )
        )
        async with self._db.write(call) as tx:
            return await tx.reply(pb.TestCampaignResponse(results=results, channel=convert.CHANNELS[channel]))


async def tried(sending: Sending, address: str, *, key: UUID, known: Mapping[str, Any], refusal: str) -> pb.TestResult:
    """refusal: why the address must not be messaged; empty where it may."""
    if refusal:
        return pb.TestResult(address=address, status=pb.RECIPIENT_STATUS_SKIPPED, reason=refusal)
    try:
        message = sending.message({"id": key, "address": address, "variables": checks.dumped(known)})
    except TemplateError as error:
        return pb.TestResult(address=address, status=pb.RECIPIENT_STATUS_SKIPPED, reason=error.reason)
    status, reason, name = told(await sending.provider.send(message))
    return pb.TestResult(
        address=address,
        status=status,
        reason=reason,
        text=message.text,
        subject=message.subject,
        provider_message_id=name,
    )


def told(answer: Answer) -> tuple[pb.RecipientStatus.ValueType, str, str]:
    """Status, reason, and the provider's name of the message. Nothing is tried again."""
    if isinstance(answer, Accepted):
        return pb.RECIPIENT_STATUS_SENT, "", answer.provider_message_id
    if isinstance(answer, Unanswered):
        return pb.RECIPIENT_STATUS_UNCERTAIN, Reason.NO_ANSWER, ""
    if isinstance(answer, Barred):
        return pb.RECIPIENT_STATUS_FAILED, answer.why, ""
    reason = Reason.PROVIDER_REFUSED if isinstance(answer, Refused) else Reason.PROVIDER_ERROR
    return pb.RECIPIENT_STATUS_FAILED, reason, ""


def message_key(call: Call, campaign_id: UUID, address: str) -> UUID:
    """The same for a call that is repeated with its Idempotency-Key, so that the provider knows the message again."""
    if call.idempotency is None:
        return ids.new()
    parts = (str(call.account), str(campaign_id), address, call.idempotency.key)
    return UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16])


def read_addresses(request: pb.TestCampaignRequest, channel: Channel) -> list[str]:
    """Each once. Raises InvalidArgument."""
    if not 1 <= len(request.to) <= MAX_ADDRESSES:
        raise errors.invalid("/to", f"to names 1 to {MAX_ADDRESSES} addresses.")
    found: dict[str, None] = {}
    for at, text in enumerate(request.to):
        address = addresses.normalise(text, channel, region=None)
        if address is None:
            raise errors.invalid(f"/to/{at}", f"This is no {channel.address}.", code=f"invalid_{channel.address}")
        found[address] = None
    return list(found)


def check_testable(row: asyncpg.Record) -> None:
    try:
        after(Status(row["status"]), Verb.TEST)
    except InvalidState as error:
        raise errors.invalid_state(error) from error
