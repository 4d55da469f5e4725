"""Contacts and suppressions."""

from typing import Any, Literal

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert.values import CHANNELS, Names, embedded, json_text, moment
from services.gateway.schemas.contacts import ContactFields
from services.gateway.schemas.fields import CHANNELS as CHANNEL_NAMES
from services.gateway.schemas.suppressions import SuppressionCreate

PREFERENCES = Names(pb.Preference, "PREFERENCE_", unspecified="unknown")
VALIDITIES = Names(pb.Validity, "VALIDITY_", unspecified="unknown")
UNKNOWN = dict.fromkeys(CHANNEL_NAMES, "unknown")

OBJECTS = {"metadata": "metadata_json", "current_campaign_data": "current_campaign_data_json"}


def patch(body: ContactFields) -> pb.ContactPatch:
    """Only the fields that were sent; those sent as null are to be cleared."""
    fields: dict[str, Any] = {}
    clear: list[str] = []
    for name in body.model_fields_set:
        value = getattr(body, name)
        if value is None:
            clear.append(OBJECTS.get(name, name))
        elif name in OBJECTS:
            fields[OBJECTS[name]] = json_text(value)
        elif name == "tags":
            fields[name] = pb.Tags(values=value)
        else:
            fields[name] = value
    return pb.ContactPatch(**fields, clear=sorted(clear))


def optional(message: pb.Suppression, field: Literal["phone", "email"]) -> str | None:
    return getattr(message, field) if message.HasField(field) else None


def contact(source: pb.Contact) -> dict[str, Any]:
    """Lists have a hundred of them: each field is read once, and no JSON is parsed to be encoded again.

    A text of a contact is never empty: what protobuf reads as empty is absent.
    """
    data = source.current_campaign_data_json
    return {
        "id": source.id,
        "phone": source.phone or None,
        "email": source.email or None,
        "first_name": source.first_name or None,
        "last_name": source.last_name or None,
        "name": source.name or None,
        "country": source.country or None,
        "stage": source.stage or None,
        "gender": source.gender or None,
        "language": source.language or None,
        "timezone": source.timezone or None,
        "external_id": source.external_id or None,
        "instagram_id": source.instagram_id or None,
        "channel": source.channel or None,
        "custom_channel": source.custom_channel or None,
        "chat_widget_id": source.chat_widget_id or None,
        "current_campaign": source.current_campaign or None,
        "current_campaign_data": embedded(data) if data else None,
        "tags": list(source.tags),
        "metadata": embedded(source.metadata_json),
        "is_chat_window_open": source.is_chat_window_open,
        "is_bot_active": source.is_bot_active,
        "do_not_disturb": source.do_not_disturb,
        "preferences": preferences(source),
        "channels": list(source.channels),
        "validity": {
            "phone": VALIDITIES.text(source.phone_validity),
            "email": VALIDITIES.text(source.email_validity),
        },
        "lists": list(source.lists),
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def preferences(source: pb.Contact) -> dict[str, str]:
    """Every channel, so that a reader need not know which are absent."""
    if not source.preferences:
        return UNKNOWN
    known = dict(source.preferences)
    return {name: PREFERENCES.text(known.get(name, 0)) for name in CHANNEL_NAMES}


def new_suppression(body: SuppressionCreate, default_region: str) -> pb.CreateSuppressionRequest:
    return pb.CreateSuppressionRequest(
        phone=body.phone,
        email=body.email,
        channels=[CHANNELS.value(name) for name in body.channels or ()],
        reason=body.reason or "",
        default_region=default_region,
    )


def suppression(source: pb.Suppression) -> dict[str, Any]:
    return {
        "id": source.id,
        "phone": optional(source, "phone"),
        "email": optional(source, "email"),
        "channels": [CHANNELS.text(channel) for channel in source.channels],
        "reason": source.reason or None,
        "created_at": moment(source.created_at),
    }
