"""Contacts, imports and suppressions."""

from typing import Any

from carillon.contacts.v1 import contacts_pb2 as pb
from services.gateway.convert.values import CHANNELS, Names, json_object, json_text, moment, moment_or_none, row_errors
from services.gateway.schemas.contacts import ContactFields
from services.gateway.schemas.fields import CHANNELS as CHANNEL_NAMES
from services.gateway.schemas.suppressions import SuppressionCreate

PREFERENCES = Names(pb.Preference, "PREFERENCE_", unspecified="unknown")
VALIDITIES = Names(pb.Validity, "VALIDITY_", unspecified="unknown")
IMPORT_STATUSES = Names(pb.ImportStatus, "IMPORT_STATUS_", unspecified="queued")
ON_DUPLICATE = Names(pb.OnDuplicate, "ON_DUPLICATE_", unspecified="")

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


def optional(message: pb.Contact | pb.Suppression, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None  # type: ignore[arg-type]


def contact(source: pb.Contact) -> dict[str, Any]:
    return {
        "id": source.id,
        "phone": optional(source, "phone"),
        "email": optional(source, "email"),
        "first_name": optional(source, "first_name"),
        "last_name": optional(source, "last_name"),
        "name": optional(source, "name"),
        "country": optional(source, "country"),
        "stage": optional(source, "stage"),
        "gender": optional(source, "gender"),
        "language": optional(source, "language"),
        "timezone": optional(source, "timezone"),
        "tags": list(source.tags),
        "metadata": json_object(source.metadata_json),
        "external_id": optional(source, "external_id"),
        "instagram_id": optional(source, "instagram_id"),
        "channel": optional(source, "channel"),
        "custom_channel": optional(source, "custom_channel"),
        "chat_widget_id": optional(source, "chat_widget_id"),
        "current_campaign": optional(source, "current_campaign"),
        "current_campaign_data": campaign_data(source),
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


def campaign_data(source: pb.Contact) -> dict[str, Any] | None:
    if not source.HasField("current_campaign_data_json"):
        return None
    return json_object(source.current_campaign_data_json)


def preferences(source: pb.Contact) -> dict[str, str]:
    """Every channel, so that a reader need not know which are absent."""
    known = dict(source.preferences)
    return {name: PREFERENCES.text(known.get(name, 0)) for name in CHANNEL_NAMES}


def import_(source: pb.Import) -> dict[str, Any]:
    return {
        "id": source.id,
        "status": IMPORT_STATUSES.text(source.status),
        "progress": {"bytes_total": source.bytes_total, "bytes_done": source.bytes_done, "rows": source.rows},
        "imported": source.imported,
        "updated": source.updated,
        "duplicates": source.duplicates,
        "failed": source.failed,
        "errors": row_errors(source),
        "error": source.error or None,
        "created_at": moment(source.created_at),
        "finished_at": moment_or_none(source, "finished_at"),
    }


def import_summary(source: pb.Import) -> dict[str, Any]:
    """The seed's answer to a one-step import, with what it leaves out."""
    return {
        "imported": source.imported,
        "failed": source.failed,
        "duplicates": source.duplicates,
        "errors": row_errors(source),
        "updated": source.updated,
        "import_id": source.id,
    }


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
