"""Contacts and suppressions."""

from typing import Any, Literal

from carillon.contacts.v1 import contacts_pb2 as pb
from formats import contact_json
from formats.contact_json import OBJECTS
from services.gateway.convert.values import CHANNELS, Names, json_text, moment
from services.gateway.schemas.contacts import ContactFields
from services.gateway.schemas.suppressions import SuppressionCreate

PREFERENCES = Names(pb.Preference, "PREFERENCE_", unspecified="unknown")
VALIDITIES = Names(pb.Validity, "VALIDITY_", unspecified="unknown")


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
    """Each field is read once: pages have a hundred of them."""
    return contact_json.shown(
        id=source.id,
        phone=source.phone,
        email=source.email,
        first_name=source.first_name,
        last_name=source.last_name,
        name=source.name,
        country=source.country,
        stage=source.stage,
        gender=source.gender,
        language=source.language,
        timezone=source.timezone,
        external_id=source.external_id,
        instagram_id=source.instagram_id,
        channel=source.channel,
        custom_channel=source.custom_channel,
        chat_widget_id=source.chat_widget_id,
        current_campaign=source.current_campaign,
        current_campaign_data=source.current_campaign_data_json,
        tags=list(source.tags),
        metadata=source.metadata_json,
        is_chat_window_open=source.is_chat_window_open,
        is_bot_active=source.is_bot_active,
        do_not_disturb=source.do_not_disturb,
        preferences={channel: PREFERENCES.text(said) for channel, said in source.preferences.items()},
        channels=list(source.channels),
        phone_validity=VALIDITIES.text(source.phone_validity),
        email_validity=VALIDITIES.text(source.email_validity),
        lists=list(source.lists),
        version=source.version,
        created_at=moment(source.created_at),
        updated_at=moment(source.updated_at),
    )


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
