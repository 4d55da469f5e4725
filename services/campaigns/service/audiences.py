"""What an audience is, counted: of a started campaign from its ledger, of a draft by looking."""

from dataclasses import replace
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis.call import Call
from chassis.db import Database, ReadTx
from chassis.errors import NotFound
from chassis.ids import AccountId
from services.campaigns import checks, convert, errors, lifecycle
from services.campaigns.domain.audience import Audience, Channel
from services.campaigns.domain.campaign import InvalidState, Status, Verb, after
from services.campaigns.domain.funnel import Funnel
from services.campaigns.domain.recipient import Reason
from services.campaigns.estimating import Estimating
from services.campaigns.peers import Audiences as Peers
from services.campaigns.peers import Contacts
from services.campaigns.repository import audiences as queries
from services.campaigns.repository import campaigns as campaign_queries
from services.campaigns.service.replays import check_first
from services.campaigns.sifting import address_of


class Audiences:
    def __init__(self, db: Database, contacts: Contacts, peers: Peers) -> None:
        self._db = db
        self._contacts = contacts
        self._peers = peers

    async def get(self, call: Call, request: pb.GetAudienceRequest) -> pb.GetAudienceResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", request.campaign_id)
        async with self._db.read(call.account, snapshot=True) as tx:
            row = await campaign_queries.get(tx, call.account, campaign_id)
            if row is None:
                raise errors.not_found("campaign", request.campaign_id)
            answer = pb.GetAudienceResponse(
                funnel=convert.funnel(await counted(tx, row)),
                frozen=row["frozen_at"] is not None,
                channel=convert.CHANNELS[row["channel"]],
            )
        if request.contact_id:
            answer.MergeFrom(await self._place(call.account, row, request.contact_id))
        return answer

    async def estimate(self, call: Call, request: pb.EstimateAudienceRequest) -> pb.EstimateAudienceResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, "campaign", request.campaign_id)
        async with self._db.read(call.account, snapshot=True) as tx:
            await check_first(tx, call)
            row = await campaign_queries.get(tx, call.account, campaign_id)
            if row is None:
                raise errors.not_found("campaign", request.campaign_id)
            before = await counted(tx, row)
        check_estimable(row)
        audience, channel = campaign_queries.audience(row), Channel(row["channel"])
        estimating = Estimating(self._contacts, self._peers, call.account, channel=channel)
        try:
            if audience.is_uploaded:
                excluded, whole = await self._uploaded(call.account, campaign_id, audience, estimating)
                found = replace(before, excluded=before.excluded + excluded, final=before.final - excluded)
            else:
                found, whole = await estimating.named(audience)
        except NotFound as error:
            raise errors.audience_gone() from error
        answer = pb.EstimateAudienceResponse(funnel=convert.funnel(found), estimate=not whole)
        async with self._db.write(call) as tx:
            return await tx.reply(answer)

    async def _uploaded(
        self, account: AccountId, campaign_id: UUID, audience: Audience, estimating: Estimating
    ) -> tuple[int, bool]:
        """How many uploaded recipients the exclusions leave out, and whether all of them were looked at."""
        found: set[str] = set()
        async for addresses in estimating.excluded_addresses(audience):
            async with self._db.read(account) as tx:
                found |= await queries.pending_at(tx, account, campaign_id, addresses)
        return len(found), estimating.whole

    async def _place(self, account: AccountId, row: asyncpg.Record, public_id: str) -> pb.GetAudienceResponse:
        """What the audience made of a contact. Raises NotFound where nothing is known of it, here or at contacts."""
        contact_id = checks.reference(convert.CONTACT, "contact", public_id)
        async with self._db.read(account, snapshot=True) as tx:
            recipient = await queries.recipient(tx, account, row["id"], contact_id)
            reason = await queries.reason(tx, account, row["id"], contact_id)
        if recipient is not None:
            return on_ledger(recipient)
        if reason is not None and reason != Reason.DUPLICATE:
            return pb.GetAudienceResponse(place=pb.PLACE_LEFT_OUT, reason=reason)
        try:
            contact = await self._contacts.get(account, public_id)
        except NotFound:
            if reason is None:
                raise
            return pb.GetAudienceResponse(place=pb.PLACE_LEFT_OUT, reason=reason)
        return await self._place_of_address(account, row, contact=contact, reason=reason)

    async def _place_of_address(
        self, account: AccountId, row: asyncpg.Record, *, contact: contacts_pb.Contact, reason: str | None
    ) -> pb.GetAudienceResponse:
        """reason: DUPLICATE, or None where no line has the contact itself."""
        address = address_of(contact, Channel(row["channel"]))
        async with self._db.read(account, snapshot=True) as tx:
            at = await queries.recipient_at(tx, account, row["id"], address)
            refused = await queries.reason_at(tx, account, row["id"], address)
        if reason is not None:
            instead = None if at is None else convert.recipient(at)
            return pb.GetAudienceResponse(place=pb.PLACE_LEFT_OUT, reason=reason, instead=instead)
        # An uploaded line names nobody but its address.
        if at is not None and at["contact_id"] is None:
            return on_ledger(at)
        if refused is not None:
            return pb.GetAudienceResponse(place=pb.PLACE_LEFT_OUT, reason=refused)
        decided = row["frozen_at"] is not None or row["status"] == Status.CANCELLED
        return pb.GetAudienceResponse(place=pb.PLACE_NOT_IN_AUDIENCE if decided else pb.PLACE_UNDECIDED)


def on_ledger(recipient: asyncpg.Record) -> pb.GetAudienceResponse:
    return pb.GetAudienceResponse(place=pb.PLACE_RECIPIENT, recipient=convert.recipient(recipient))


async def counted(tx: ReadTx, row: asyncpg.Record) -> Funnel:
    """So far; row: a campaign with its stats."""
    count = queries.of_uploads if campaign_queries.audience(row).is_uploaded else queries.of_contacts
    return await count(tx, row["account_id"], row["id"], total=row["total"])


def check_estimable(row: asyncpg.Record) -> None:
    try:
        after(Status(row["status"]), Verb.ESTIMATE)
    except InvalidState as error:
        raise errors.invalid_state(error) from error
    if not lifecycle.has_audience(row):
        raise errors.audience_missing()
