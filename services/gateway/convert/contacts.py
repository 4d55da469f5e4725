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


# In the order of the public contract. Fields that protobuf leaves out are null.
NULLABLE = (
    "phone",
    "email",
    "first_name",
    "last_name",
    "name",
    "country",
    "stage",
    "gender",
    "language",
    "timezone",
    "external_id",
    "instagram_id",
    "channel",
    "custom_channel",
    "chat_widget_id",
    "current_campaign",
)
NOTHING = dict.fromkeys(("id", *NULLABLE))


def contact(source: pb.Contact) -> dict[str, Any]:
    """Lists have a hundred of them: one pass over the fields that are set, and no JSON parsed to be encoded again."""
    found: dict[str, Any] = NOTHING.copy()
    for descriptor, value in source.ListFields():
        if descriptor.name in found:
            found[descriptor.name] = value
    has_data = source.HasField("current_campaign_data_json")
    found["current_campaign_data"] = embedded(source.current_campaign_data_json) if has_data else None
    found["tags"] = list(source.tags)
    found["metadata"] = embedded(source.metadata_json)
    found["is_chat_window_open"] = source.is_chat_window_open
    found["is_bot_active"] = source.is_bot_active
    found["do_not_disturb"] = source.do_not_disturb
    found["preferences"] = preferences(source)
    found["channels"] = list(source.channels)
    found["validity"] = {
        "phone": VALIDITIES.text(source.phone_validity),
        "email": VALIDITIES.text(source.email_validity),
    }
    found["lists"] = list(source.lists)
    found["version"] = source.version
    found["created_at"] = moment(source.created_at)
    found["updated_at"] = moment(source.updated_at)
    return found


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
