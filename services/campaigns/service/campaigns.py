"""Campaigns as their callers see them: made, changed, started, paused, cancelled. The engine is in work/."""

from collections.abc import Callable
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.events.v1 import events_pb2 as events
from chassis import ids
from chassis.call import Call
from chassis.db import Database, WriteTx
from chassis.paging import decode_cursor, encode_cursor, page_size
from services.campaigns import checks, convert, errors, sending_hours
from services.campaigns.domain.campaign import InvalidState, Status, Verb, after
from services.campaigns.domain.stats import Stats
from services.campaigns.lifecycle import append_event, start_draft
from services.campaigns.peers import Audiences
from services.campaigns.repository import campaigns as queries
from services.campaigns.repository import recipients as recipient_queries
from services.campaigns.sandboxing import check_may_change, is_sandboxed
from services.campaigns.service.drafts import Named, changed, copied, used_sender, used_template

NOUN = "campaign"
# Skipped within the call itself; the rest of a larger ledger by the dispatchers, in the seconds after.
CANCELLED_AT_ONCE = 10_000
COPY = " (copy)"


class Campaigns:
    def __init__(self, db: Database, audiences: Audiences, *, wake: Callable[[], None]) -> None:
        """wake: tells the workers that there is something to do; best effort."""
        self._db = db
        self._named = Named(audiences)
        self._wake = wake

    async def create(self, call: Call, request: pb.CreateCampaignRequest) -> pb.CreateCampaignResponse:
        name = checks.name(request.name)
        template_id = checks.field_reference("/template_id", convert.TEMPLATE, "template", request.template_id)
        audience = await self._named.new(call.account, request)
        variables = checks.dumped(checks.json_object(request.variables_json, "/variables"))
        rate = checks.rate(request.rate_limit_per_second)
        max_late = checks.max_late(request.schedule_max_late_seconds)
        windows = sending_hours.read_windows(request.sending_windows) if request.HasField("sending_windows") else None
        schedule = checks.moment(request.schedule_at, "/schedule_at") if request.HasField("schedule_at") else None
        async with self._db.write(call) as tx:
            template = await used_template(tx, template_id)
            sender = await used_sender(tx, request.sender_id, template["channel"])
            campaign_id = ids.new()
            draft = queries.Draft(
                name=name,
                template_id=template_id,
                sender_id=sender["id"],
                channel=template["channel"],
                audience=audience,
                schedule_at=schedule,
                rate_limit_per_second=rate,
                variables=variables,
                schedule_max_late_seconds=max_late,
                sending_windows=sending_hours.dumped(windows),
            )
            await queries.insert(tx, campaign_id, draft, is_test=is_sandboxed(call))
            made = await told(tx, campaign_id, "campaign.created")
            return await tx.reply(pb.CreateCampaignResponse(campaign=made))

    async def clone(self, call: Call, request: pb.CloneCampaignRequest) -> pb.CloneCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.CLONE)
            name = row["name"][: checks.MAX_NAME - len(COPY)] + COPY
            campaign_id = ids.new()
            await queries.insert(tx, campaign_id, await copied(tx, row, name), is_test=is_sandboxed(call))
            made = await told(tx, campaign_id, "campaign.created")
            return await tx.reply(pb.CloneCampaignResponse(campaign=made))

    async def get(self, call: Call, request: pb.GetCampaignRequest) -> pb.GetCampaignResponse:
        campaign_id = checks.reference(convert.CAMPAIGN, NOUN, request.id)
        async with self._db.read(call.account) as tx:
            row = await queries.get(tx, call.account, campaign_id)
        if row is None:
            raise errors.not_found(NOUN, request.id)
        return pb.GetCampaignResponse(campaign=convert.campaign(row))

    async def update(self, call: Call, request: pb.UpdateCampaignRequest) -> pb.UpdateCampaignResponse:
        audience = await self._named.changes(call.account, request)
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.UPDATE)
            check_may_change(call, row)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            await queries.update(tx, row["id"], await changed(tx, row, request, audience))
            made = await told(tx, row["id"], "campaign.updated")
            answer = await tx.reply(pb.UpdateCampaignResponse(campaign=made))
        self._wake()
        return answer

    async def delete(self, call: Call, request: pb.DeleteCampaignRequest) -> pb.DeleteCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.DELETE)
            check_may_change(call, row)
            if request.HasField("if_version") and request.if_version != row["version"]:
                raise errors.version_mismatch(row["version"])
            await queries.mark_deleted(tx, row["id"])
            tx.add_event("campaign.deleted", events.CampaignChanged(campaign=convert.campaign(row)))
            answer = await tx.reply(pb.DeleteCampaignResponse())
        self._wake()
        return answer

    async def page(self, call: Call, request: pb.ListCampaignsRequest) -> pb.ListCampaignsResponse:
        status = convert.CAMPAIGN_STATUS_NAMES.get(request.status)
        size, scope = page_size(request.page_size), f"{call.account}/campaigns/{status}"
        below = checks.cursor_id(decode_cursor(request.cursor, scope, parts=1)) if request.cursor else None
        async with self._db.read(call.account) as tx:
            rows = await queries.page(tx, call.account, status=status, below=below, size=size + 1)
        more = len(rows) > size
        rows = rows[:size]
        return pb.ListCampaignsResponse(
            campaigns=[convert.campaign(row) for row in rows],
            next_cursor=encode_cursor(scope, str(rows[-1]["id"])) if more else "",
        )

    async def start(self, call: Call, request: pb.StartCampaignRequest) -> pb.StartCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.START)
            check_may_change(call, row)
            if row["status"] == Status.PAUSED:
                made = await resumed(tx, row)
            else:
                made = await start_draft(tx, call.account, row)
            answer = await tx.reply(pb.StartCampaignResponse(campaign=made))
        self._wake()
        return answer

    async def resume(self, call: Call, request: pb.ResumeCampaignRequest) -> pb.ResumeCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.RESUME)
            check_may_change(call, row)
            answer = await tx.reply(pb.ResumeCampaignResponse(campaign=await resumed(tx, row)))
        self._wake()
        return answer

    async def pause(self, call: Call, request: pb.PauseCampaignRequest) -> pb.PauseCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.PAUSE)
            check_may_change(call, row)
            await queries.set_status(tx, tx.account, row["id"], status=Status.PAUSED, reason="")
            made = await told(tx, row["id"], "campaign.paused")
            return await tx.reply(pb.PauseCampaignResponse(campaign=made))

    async def cancel(self, call: Call, request: pb.CancelCampaignRequest) -> pb.CancelCampaignResponse:
        async with self._db.write(call) as tx:
            row = await self._locked(tx, request.id, Verb.CANCEL)
            check_may_change(call, row)
            await queries.set_status(tx, tx.account, row["id"], status=Status.CANCELLED, reason="")
            skipped = await recipient_queries.cancel(tx, tx.account, row["id"], limit=CANCELLED_AT_ONCE)
            delta = Stats(pending=-skipped, skipped=skipped)
            await queries.add_stats(tx, tx.account, row["id"], delta=delta)
            made = await told(tx, row["id"], "campaign.cancelled")
            answer = await tx.reply(pb.CancelCampaignResponse(campaign=made))
        self._wake()
        return answer

    async def _locked(self, tx: WriteTx, public_id: str, verb: Verb) -> asyncpg.Record:
        """The campaign, held until the commit, in a state that takes the verb."""
        campaign_id = checks.reference(convert.CAMPAIGN, NOUN, public_id)
        row = await queries.lock(tx, tx.account, campaign_id)
        if row is None:
            raise errors.not_found(NOUN, public_id)
        try:
            after(Status(row["status"]), verb, reason=row["status_reason"])
        except InvalidState as error:
            raise errors.invalid_state(error) from error
        return row


async def told(tx: WriteTx, campaign_id: UUID, event: str) -> pb.Campaign:
    """The campaign as it stands now, with the event that tells of it."""
    return await append_event(tx, tx.account, campaign_id, event)


async def resumed(tx: WriteTx, row: asyncpg.Record) -> pb.Campaign:
    await queries.set_status(tx, tx.account, row["id"], status=Status.RUNNING, reason="")
    await queries.reset_run(tx, tx.account, row["id"])
    return await told(tx, row["id"], "campaign.resumed")
