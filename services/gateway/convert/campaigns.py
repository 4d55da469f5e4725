"""Templates, senders, campaigns and recipients."""

from typing import Any

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from services.gateway.convert import campaigns_hours as hours
from services.gateway.convert.values import (
    Names,
    json_object,
    json_text,
    moment,
    moment_or_none,
    timestamp,
)
from services.gateway.schemas.campaigns import CampaignCreate, CampaignTest, CampaignUpdate
from services.gateway.schemas.receipts import Receipt

CAMPAIGN_STATUSES = Names(pb.CampaignStatus, "CAMPAIGN_STATUS_", unspecified="draft")
RECIPIENT_STATUSES = Names(pb.RecipientStatus, "RECIPIENT_STATUS_", unspecified="pending")
PLACES = Names(pb.Place, "PLACE_", unspecified="undecided")
RECEIPT_STATUSES = Names(pb.ReceiptStatus, "RECEIPT_STATUS_", unspecified="")
STATS = ("total", "sent", "delivered", "failed", "pending", "skipped", "uncertain", "opened", "clicked")


def new_campaign(body: CampaignCreate) -> pb.CreateCampaignRequest:
    return pb.CreateCampaignRequest(
        name=body.name,
        template_id=body.template_id,
        sender_id=body.sender_id or "",
        segment_id=body.segment_id or "",
        list_id=body.list_id or "",
        contact_ids=body.contact_ids,
        exclude_segment_ids=body.exclude_segment_ids,
        schedule_max_late_seconds=body.schedule_max_late_seconds or 0,
        sending_windows=hours.new_windows(body.sending_windows) if body.sending_windows else None,
        schedule_at=timestamp(body.schedule_at) if body.schedule_at else None,
        rate_limit_per_second=body.rate_limit_per_second or 0,
        variables_json=json_text(body.variables or {}),
    )


def campaign_update(campaign_id: str, body: CampaignUpdate, if_version: int | None) -> pb.UpdateCampaignRequest:
    fields: dict[str, Any] = {}
    clear: list[str] = []
    for name in body.model_fields_set:
        value = getattr(body, name)
        if name == "variables":
            fields["variables_json"] = json_text(value or {})
        elif name in ("rate_limit_per_second", "schedule_max_late_seconds"):
            fields[name] = value or 0
        elif value is None:
            clear.append(name)
        elif name in ("contact_ids", "exclude_segment_ids"):
            fields[name] = pb.Ids(values=value)
        elif name == "sending_windows":
            fields[name] = hours.new_windows(value)
        else:
            fields[name] = timestamp(value) if name == "schedule_at" else value
    return pb.UpdateCampaignRequest(id=campaign_id, if_version=if_version, clear=sorted(clear), **fields)


def campaign(source: pb.Campaign) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "status": CAMPAIGN_STATUSES.text(source.status),
        "status_reason": source.status_reason or None,
        "template_id": source.template_id,
        "sender_id": source.sender_id,
        "segment_id": source.segment_id or None,
        "list_id": source.list_id or None,
        "contact_ids": list(source.contact_ids) or None,
        "exclude_segment_ids": list(source.exclude_segment_ids),
        "schedule_at": moment_or_none(source, "schedule_at"),
        "schedule_max_late_seconds": source.schedule_max_late_seconds,
        "sending_windows": hours.windows(source.sending_windows) if source.HasField("sending_windows") else None,
        "rate_limit_per_second": source.rate_limit_per_second or None,
        "variables": json_object(source.variables_json),
        "stats": {name: getattr(source.stats, name) for name in STATS},
        "freezing": source.freezing,
        "test": source.is_test,
        "started_at": moment_or_none(source, "started_at"),
        "finished_at": moment_or_none(source, "finished_at"),
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def recipient(source: pb.Recipient, channel: int) -> dict[str, Any]:
    address = "email" if channel == contacts_pb.CHANNEL_EMAIL else "phone"
    return {
        # Null where the contact was deleted.
        address: source.address or None,
        "variables": json_object(source.variables_json),
        "status": RECIPIENT_STATUSES.text(source.status),
        "sent_at": moment_or_none(source, "sent_at"),
        "id": source.id,
        "contact_id": source.contact_id or None,
        "reason": source.reason or None,
        "delivered_at": moment_or_none(source, "delivered_at"),
    }


def campaign_test(campaign_id: str, body: CampaignTest) -> pb.TestCampaignRequest:
    return pb.TestCampaignRequest(
        id=campaign_id,
        to=body.to,
        contact_id=body.contact_id or "",
        variables_json=json_text(body.variables or {}),
    )


def trial_result(source: pb.TestResult, channel: int) -> dict[str, Any]:
    return {
        "email" if channel == contacts_pb.CHANNEL_EMAIL else "phone": source.address,
        "status": RECIPIENT_STATUSES.text(source.status),
        "reason": source.reason or None,
        "text": source.text or None,
        "subject": source.subject if source.HasField("subject") else None,
        "provider_message_id": source.provider_message_id or None,
    }


def funnel(source: pb.Funnel) -> dict[str, Any]:
    names = ("matched", "excluded", "no_address", "invalid", "opted_out", "do_not_contact", "duplicate", "final")
    return {"dnc" if name == "do_not_contact" else name: getattr(source, name) for name in names}


def audience(source: pb.GetAudienceResponse, contact_id: str | None) -> dict[str, Any]:
    found = funnel(source.funnel) | {"frozen": source.frozen}
    if contact_id is None:
        return found
    line = recipient(source.recipient, source.channel) if source.HasField("recipient") else None
    contact = {
        "contact_id": contact_id,
        "outcome": PLACES.text(source.place),
        "reason": source.reason or (line["reason"] if line else None),
        "recipient": line,
        "instead": recipient(source.instead, source.channel) if source.HasField("instead") else None,
    }
    return found | {"contact": contact}


def receipt(body: Receipt) -> pb.Receipt:
    return pb.Receipt(
        provider_message_id=body.id,
        status=RECEIPT_STATUSES.value(body.status),
        reason=body.reason or "",
        at=timestamp(body.at) if body.at else None,
    )
