"""Between rows and the messages of campaigns.proto. Nothing is decided here."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import asyncpg
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts
from chassis import ids
from services.campaigns import contents, sending_hours
from services.campaigns.domain.content import WhatsApp
from services.campaigns.domain.funnel import Funnel
from services.campaigns.domain.sending import Outcome
from services.campaigns.domain.stats import NAMES, TIMED
from services.campaigns.providers.port import WhatsAppTemplate
from services.campaigns.repository.erasure import ERASED

TEMPLATE = "tmpl"
SENDER = "sender"
CAMPAIGN = "cmp"
RECIPIENT = "rcp"
MESSAGE = "msg"
SEGMENT = "seg"
LIST = "lst"
CONTACT = "cnt"

CHANNEL_PREFIX = "CHANNEL_"
CHANNELS = {
    name.removeprefix(CHANNEL_PREFIX).lower(): number
    for name, number in contacts.Channel.items()
    if number != contacts.CHANNEL_UNSPECIFIED
}
CHANNEL_NAMES = {number: name for name, number in CHANNELS.items()}
CAMPAIGN_STATUSES = {
    name.removeprefix("CAMPAIGN_STATUS_").lower(): number for name, number in pb.CampaignStatus.items() if number
}
CAMPAIGN_STATUS_NAMES = {number: name for name, number in CAMPAIGN_STATUSES.items()}
RECIPIENT_STATUSES = {
    name.removeprefix("RECIPIENT_STATUS_").lower(): number for name, number in pb.RecipientStatus.items() if number
}
RECIPIENT_STATUS_NAMES = {number: name for name, number in RECIPIENT_STATUSES.items()}
REFUSALS = {number: name.removeprefix("REFUSAL_").lower() for name, number in contacts.Refusal.items() if number}


@lru_cache(maxsize=64)
def timestamp(moment: datetime | None) -> Timestamp | None:
    """Not to be changed: a micro-batch has one moment for all, and messages copy what they are made of."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment)
    return made


def public(prefix: str, value: UUID | None) -> str:
    return "" if value is None else ids.encode(prefix, value)


def template(row: asyncpg.Record) -> pb.Template:
    return pb.Template(
        id=ids.encode(TEMPLATE, row["id"]),
        name=row["name"],
        channel=CHANNELS[row["channel"]],
        body=row["body"],
        subject=row["subject"],
        variables=row["variables"],
        version=row["version"],
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
        html=row["html"],
        whatsapp=whatsapp(contents.loaded(row["whatsapp"])),
    )


def whatsapp(source: WhatsApp | WhatsAppTemplate | None) -> pb.WhatsAppTemplate | None:
    if source is None:
        return None
    return pb.WhatsAppTemplate(name=source.name, language=source.language, parameters=source.parameters)


def sender(row: asyncpg.Record, *, receipts_path: str) -> pb.Sender:
    return pb.Sender(
        id=ids.encode(SENDER, row["id"]),
        name=row["name"],
        channel=CHANNELS[row["channel"]],
        address=row["address"],
        provider=row["provider"],
        settings_json=row["settings"],
        rate_limit_per_second=row["rate_limit_per_second"],
        is_default=row["is_default"],
        receipts_path=receipts_path,
        version=row["version"],
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
    )


def campaign(row: asyncpg.Record) -> pb.Campaign:
    """row: of repository.campaigns.get, with its stats."""
    return pb.Campaign(
        id=ids.encode(CAMPAIGN, row["id"]),
        name=row["name"],
        template_id=ids.encode(TEMPLATE, row["template_id"]),
        sender_id=ids.encode(SENDER, row["sender_id"]),
        segment_id=public(SEGMENT, row["segment_id"]),
        status=CAMPAIGN_STATUSES[row["status"]],
        status_reason=row["status_reason"],
        schedule_at=timestamp(row["schedule_at"]),
        rate_limit_per_second=row["rate_limit_per_second"],
        variables_json=row["variables"],
        stats=pb.CampaignStats(**{name: row[name] for name in NAMES}),
        started_at=timestamp(row["started_at"]),
        finished_at=timestamp(row["finished_at"]),
        version=row["version"],
        created_at=timestamp(row["created_at"]),
        updated_at=timestamp(row["updated_at"]),
        freezing=row["freezing"],
        list_id=public(LIST, row["list_id"]),
        contact_ids=[ids.encode(CONTACT, one) for one in row["contact_ids"] or ()],
        exclude_segment_ids=[ids.encode(SEGMENT, one) for one in row["exclude_segment_ids"]],
        schedule_max_late_seconds=row["schedule_max_late_seconds"],
        sending_windows=sending_hours.message(sending_hours.loaded(row["sending_windows"])),
        is_test=row["is_test"],
    )


def funnel(counts: Funnel) -> pb.Funnel:
    return pb.Funnel(matched=counts.matched, **asdict(counts))


def known_address(stored: str) -> str:
    """Empty where the contact was deleted: see repository.erasure."""
    return "" if stored.startswith(ERASED) else stored


def recipient(row: asyncpg.Record | Mapping[str, Any]) -> pb.Recipient:
    return pb.Recipient(
        id=ids.encode(RECIPIENT, row["id"]),
        contact_id=public(CONTACT, row["contact_id"]),
        address=known_address(row["address"]),
        variables_json=row["variables"],
        status=RECIPIENT_STATUSES[row["status"]],
        reason=row["reason"],
        sent_at=timestamp(row["sent_at"]),
        delivered_at=timestamp(row["delivered_at"]),
        provider_message_id=row["provider_message_id"] or "",
        state_revision=row["state_revision"],
        # Not read by who sends: nobody has opened yet what was not sent.
        opened_at=timestamp(row.get("opened_at")),
        clicked_at=timestamp(row.get("clicked_at")),
    )


def end(now: asyncpg.Record, outcome: Outcome) -> pb.Recipient:
    """What recipients whose attempts came to the same end have in common; now: status, sent_at and state_revision."""
    return pb.Recipient(
        status=RECIPIENT_STATUSES[now["status"]],
        reason=outcome.reason,
        sent_at=timestamp(now["sent_at"]),
        state_revision=now["state_revision"],
    )


def attempted(made: pb.Recipient, before: asyncpg.Record, outcome: Outcome) -> None:
    """Makes of a copy of `end` what `recipient` makes of the row. Attributes: the constructor takes twice as long."""
    made.id = ids.encode(RECIPIENT, before["id"])
    if before["contact_id"] is not None:
        made.contact_id = ids.encode(CONTACT, before["contact_id"])
    made.address = known_address(before["address"])
    made.variables_json = before["variables"]
    made.provider_message_id = outcome.provider_message_id


def minute(row: asyncpg.Record) -> pb.TimelineMinute:
    return pb.TimelineMinute(minute=timestamp(row["minute"]), **{name: row[name] for name in TIMED})
