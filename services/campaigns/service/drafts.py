"""What a draft is made of: the fields of a request, held against what they refer to."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.db import WriteTx
from chassis.ids import AccountId
from services.campaigns import checks, convert, errors, sending_hours
from services.campaigns.domain.audience import Audience
from services.campaigns.peers import Audiences
from services.campaigns.repository import campaigns as queries
from services.campaigns.repository import senders as sender_queries
from services.campaigns.repository import templates as template_queries

CLEARABLE = ("segment_id", "list_id", "contact_ids", "exclude_segment_ids", "schedule_at", "sending_windows")
MAX_CONTACT_IDS = 1_000
MAX_EXCLUDED = 10


class Named:
    """What requests name of other services. It is asked for before any transaction begins."""

    def __init__(self, audiences: Audiences) -> None:
        self._audiences = audiences

    async def new(self, account: AccountId, request: pb.CreateCampaignRequest) -> Audience:
        """The audience of a new draft. Raises InvalidArgument."""
        audience = Audience(
            segment_id=await self._segment(account, request.segment_id),
            list_id=await self._list(account, request.list_id),
            contact_ids=contact_ids(request.contact_ids) if request.contact_ids else None,
            exclude_segment_ids=await self._excluded(account, request.exclude_segment_ids),
        )
        if len(audience.kinds) > 1:
            first, second = audience.kinds[:2]
            raise errors.invalid(f"/{second}", f"A campaign has one kind of audience; {first} is given too.")
        return audience

    async def changes(self, account: AccountId, request: pb.UpdateCampaignRequest) -> dict[str, object]:
        """The fields of Audience that the request changes. Raises InvalidArgument."""
        found: dict[str, object] = {}
        if request.HasField("segment_id"):
            found["segment_id"] = await self._segment(account, request.segment_id)
        if request.HasField("list_id"):
            found["list_id"] = await self._list(account, request.list_id)
        if request.HasField("contact_ids"):
            found["contact_ids"] = contact_ids(request.contact_ids.values)
        if request.HasField("exclude_segment_ids"):
            found["exclude_segment_ids"] = await self._excluded(account, request.exclude_segment_ids.values)
        for field in request.clear:
            if field in ("segment_id", "list_id", "contact_ids"):
                found[field] = None
            elif field == "exclude_segment_ids":
                found[field] = ()
        return found

    async def _segment(self, account: AccountId, public_id: str, pointer: str = "/segment_id") -> UUID | None:
        """Empty: none is named."""
        if not public_id:
            return None
        segment_id = checks.field_reference(pointer, convert.SEGMENT, "segment", public_id)
        if await self._audiences.segments.size(account, segment_id) is None:
            raise errors.unknown_reference(pointer, "segment", public_id)
        return segment_id

    async def _list(self, account: AccountId, public_id: str) -> UUID | None:
        """Empty: none is named."""
        if not public_id:
            return None
        list_id = checks.field_reference("/list_id", convert.LIST, "list", public_id)
        if await self._audiences.lists.size(account, list_id) is None:
            raise errors.unknown_reference("/list_id", "list", public_id)
        return list_id

    async def _excluded(self, account: AccountId, public_ids: Sequence[str]) -> tuple[UUID, ...]:
        if len(public_ids) > MAX_EXCLUDED:
            raise errors.invalid("/exclude_segment_ids", f"exclude_segment_ids may name up to {MAX_EXCLUDED} segments.")
        found = [
            await self._segment(account, public_id or " ", f"/exclude_segment_ids/{at}")
            for at, public_id in enumerate(public_ids)
        ]
        return tuple(dict.fromkeys(one for one in found if one is not None))


def contact_ids(public_ids: Iterable[str]) -> tuple[UUID, ...]:
    """Each once. Raises InvalidArgument for what is no id; whether somebody has it is asked when it is frozen."""
    given = list(public_ids)
    if not 1 <= len(given) <= MAX_CONTACT_IDS:
        raise errors.invalid("/contact_ids", f"contact_ids names 1 to {MAX_CONTACT_IDS} contacts.")
    found = (
        checks.field_reference(f"/contact_ids/{at}", convert.CONTACT, "contact", one) for at, one in enumerate(given)
    )
    return tuple(dict.fromkeys(found))


async def used_template(tx: WriteTx, template_id: UUID) -> asyncpg.Record:
    row = await template_queries.get_for_share(tx, template_id)
    if row is None:
        raise errors.unknown_reference("/template_id", "template", convert.public(convert.TEMPLATE, template_id))
    return row


async def used_sender(tx: WriteTx, public_id: str, channel: str) -> asyncpg.Record:
    """The sender named, or the default one of the channel."""
    if not public_id:
        row = await sender_queries.default_for_share(tx, channel)
        if row is None:
            raise errors.sender_required(channel)
        return row
    sender_id = checks.field_reference("/sender_id", convert.SENDER, "sender", public_id)
    row = await sender_queries.get_for_share(tx, sender_id)
    if row is None:
        raise errors.unknown_reference("/sender_id", "sender", public_id)
    if row["channel"] != channel:
        raise errors.invalid("/sender_id", f"The sender is one for {row['channel']}, the template for {channel}.")
    return row


async def changed(
    tx: WriteTx, row: asyncpg.Record, request: pb.UpdateCampaignRequest, audience: dict[str, object]
) -> queries.Draft:
    """The draft with the fields that the request has. audience: of Named.changes."""
    has = request.HasField
    for field in request.clear:
        if field not in CLEARABLE:
            raise errors.invalid(f"/{field}", f"{field} cannot be cleared.")
    template_id, sender_id, channel = await references(tx, row, request)
    schedule = checks.moment(request.schedule_at, "/schedule_at") if has("schedule_at") else row["schedule_at"]
    variables = checks.dumped(checks.json_object(request.variables_json, "/variables"))
    return queries.Draft(
        name=checks.name(request.name) if has("name") else row["name"],
        template_id=template_id,
        sender_id=sender_id,
        channel=channel,
        audience=changed_audience(row, audience),
        schedule_at=None if "schedule_at" in request.clear else schedule,
        rate_limit_per_second=(
            checks.rate(request.rate_limit_per_second) if has("rate_limit_per_second") else row["rate_limit_per_second"]
        ),
        variables=variables if has("variables_json") else row["variables"],
        schedule_max_late_seconds=(
            checks.max_late(request.schedule_max_late_seconds)
            if has("schedule_max_late_seconds")
            else row["schedule_max_late_seconds"]
        ),
        sending_windows=changed_windows(row, request),
    )


async def copied(tx: WriteTx, row: asyncpg.Record, name: str) -> queries.Draft:
    """Another draft like the campaign, to start when somebody says so. Raises InvalidArgument."""
    template = await used_template(tx, row["template_id"])
    sender = await used_sender(tx, convert.public(convert.SENDER, row["sender_id"]), template["channel"])
    return queries.Draft(
        name=name,
        template_id=template["id"],
        sender_id=sender["id"],
        channel=template["channel"],
        audience=queries.audience(row),
        schedule_at=None,
        rate_limit_per_second=row["rate_limit_per_second"],
        variables=row["variables"],
        schedule_max_late_seconds=row["schedule_max_late_seconds"],
        sending_windows=row["sending_windows"],
    )


def changed_windows(row: asyncpg.Record, request: pb.UpdateCampaignRequest) -> str | None:
    if "sending_windows" in request.clear:
        return None
    if not request.HasField("sending_windows"):
        text: str | None = row["sending_windows"]
        return text
    return sending_hours.dumped(sending_hours.read_windows(request.sending_windows))


def changed_audience(row: asyncpg.Record, changes: dict[str, object]) -> Audience:
    """Raises FailedPrecondition(AUDIENCE_CONFLICT)."""
    audience = replace(queries.audience(row), **changes)  # type: ignore[arg-type]  # by the names of its fields
    if len(audience.kinds) > 1:
        raise errors.audience_conflict(
            f"A campaign has one kind of audience; with {audience.kinds[1]} set {audience.kinds[0]} to null, or the "
            "other way round."
        )
    if audience.kinds and row["total"]:
        raise errors.audience_conflict("Recipients were uploaded; a campaign has one kind of audience.")
    return audience


async def references(tx: WriteTx, row: asyncpg.Record, request: pb.UpdateCampaignRequest) -> tuple[UUID, UUID, str]:
    """Template, sender and channel, held against one another."""
    has = request.HasField
    template_id = row["template_id"]
    if has("template_id"):
        template_id = checks.field_reference("/template_id", convert.TEMPLATE, "template", request.template_id)
    template = await used_template(tx, template_id)
    channel = template["channel"]
    if channel != row["channel"] and row["total"]:
        raise errors.audience_conflict(f"Recipients were uploaded for {row['channel']}, not for {channel}.")
    sender = request.sender_id if has("sender_id") else ""
    if not sender and channel == row["channel"] and not has("sender_id"):
        return template_id, row["sender_id"], channel
    return template_id, (await used_sender(tx, sender, channel))["id"], channel
