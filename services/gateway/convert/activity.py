"""A contact's timeline and messages."""

from typing import Any

from carillon.contacts.v1 import activity_pb2 as pb
from services.gateway.convert.values import CHANNELS, embedded, json_text, moment, moment_or_none, timestamp
from services.gateway.schemas.activity import ActivityCreate

TIMES = ("sent_at", "delivered_at", "opened_at", "clicked_at", "failed_at", "received_at")


def new_activity(contact_id: str, body: ActivityCreate, *, actor: str) -> pb.AddActivityRequest:
    return pb.AddActivityRequest(
        contact_id=contact_id,
        type=body.type,
        at=None if body.at is None else timestamp(body.at),
        channel=CHANNELS.value(body.channel),
        text=body.text or "",
        data_json=json_text(body.data or {}),
        actor=actor,
    )


def activity(source: pb.Activity) -> dict[str, Any]:
    return {
        "id": source.id,
        "type": source.type,
        "at": moment(source.at),
        "channel": CHANNELS.text(source.channel) if source.channel else None,
        "text": source.text or None,
        "data": embedded(source.data_json),
        "actor": source.actor or None,
        "message_id": source.message_id or None,
        "campaign_id": source.campaign_id or None,
    }


def message(source: pb.ContactMessage) -> dict[str, Any]:
    inbound = source.HasField("received_at")
    return {
        "id": source.id,
        "direction": "inbound" if inbound else "outbound",
        "campaign_id": source.campaign_id or None,
        "channel": CHANNELS.text(source.channel),
        "from": source.address if inbound else None,
        "to": (source.to or None) if inbound else source.address,
        "text": source.text if inbound else None,
        "status": source.status,
        "reason": source.reason or None,
        **{name: moment_or_none(source, name) for name in TIMES},
    }
