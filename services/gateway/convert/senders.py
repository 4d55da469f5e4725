"""Senders."""

from typing import Any

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.gateway.convert.values import CHANNELS, json_object, json_text, moment
from services.gateway.schemas.senders import SenderCreate, SenderUpdate


def sender(source: pb.Sender, public_url: str) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "channel": CHANNELS.text(source.channel),
        "address": source.address,
        "provider": source.provider,
        "settings": json_object(source.settings_json),
        "rate_limit_per_second": source.rate_limit_per_second or None,
        "is_default": source.is_default,
        # It has a token in it, which is not kept for a repeated creation.
        "receipts_url": public_url + source.receipts_path if source.receipts_path else None,
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def new_sender(body: SenderCreate) -> pb.CreateSenderRequest:
    return pb.CreateSenderRequest(
        name=body.name,
        channel=CHANNELS.value(body.channel),
        address=body.address,
        provider=body.provider,
        settings_json=json_text(body.settings),
        secrets_json=json_text(body.secrets) if body.secrets else "",
        rate_limit_per_second=body.rate_limit_per_second or 0,
        is_default=body.is_default,
    )


def sender_update(sender_id: str, body: SenderUpdate, if_version: int | None) -> pb.UpdateSenderRequest:
    fields: dict[str, Any] = {}
    for name in body.model_fields_set:
        value = getattr(body, name)
        if name in ("settings", "secrets"):
            fields[f"{name}_json"] = json_text(value or {})
        elif name == "rate_limit_per_second":
            fields[name] = value or 0
        else:
            fields[name] = value
    return pb.UpdateSenderRequest(id=sender_id, if_version=if_version, **fields)
