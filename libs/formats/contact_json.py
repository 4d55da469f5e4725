"""A contact as the REST API shows it, for who writes it from a row and for who writes it from the wire."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import orjson

CHANNELS = ("sms", "whatsapp", "email", "rcs", "viber", "voice")
# Fields that are objects → how the wire names them, which has their text.
OBJECTS = {"metadata": "metadata_json", "current_campaign_data": "current_campaign_data_json"}
UNKNOWN = dict.fromkeys(CHANNELS, "unknown")
# Times are in UTC, with fractions only where there are any.
OPTIONS = orjson.OPT_UTC_Z


def shown(
    *,
    id: str,
    phone: str | None,
    email: str | None,
    first_name: str | None,
    last_name: str | None,
    name: str | None,
    country: str | None,
    stage: str | None,
    gender: str | None,
    language: str | None,
    timezone: str | None,
    external_id: str | None,
    instagram_id: str | None,
    channel: str | None,
    custom_channel: str | None,
    chat_widget_id: str | None,
    current_campaign: str | None,
    current_campaign_data: str | None,
    tags: Sequence[str],
    metadata: str,
    is_chat_window_open: bool,
    is_bot_active: bool,
    do_not_disturb: bool,
    preferences: dict[str, str],
    channels: Sequence[str],
    phone_validity: str,
    email_validity: str,
    lists: Sequence[str],
    version: int,
    created_at: datetime | str,
    updated_at: datetime | str,
) -> dict[str, object]:
    """To be encoded by orjson with OPTIONS.

    An empty text is null. preferences: of the channels of which something is known. metadata, current_campaign_data:
    JSON objects as text, which are not parsed to be encoded again.
    """
    return {
        "id": id,
        "phone": phone or None,
        "email": email or None,
        "first_name": first_name or None,
        "last_name": last_name or None,
        "name": name or None,
        "country": country or None,
        "stage": stage or None,
        "gender": gender or None,
        "language": language or None,
        "timezone": timezone or None,
        "external_id": external_id or None,
        "instagram_id": instagram_id or None,
        "channel": channel or None,
        "custom_channel": custom_channel or None,
        "chat_widget_id": chat_widget_id or None,
        "current_campaign": current_campaign or None,
        "current_campaign_data": orjson.Fragment(current_campaign_data) if current_campaign_data else None,
        "tags": tags,
        "metadata": orjson.Fragment(metadata or "{}"),
        "is_chat_window_open": is_chat_window_open,
        "is_bot_active": is_bot_active,
        "do_not_disturb": do_not_disturb,
        # Every channel, so that a reader need not know which are absent.
        "preferences": UNKNOWN | preferences if preferences else UNKNOWN,
        "channels": channels,
        "validity": {"phone": phone_validity, "email": email_validity},
        "lists": lists,
        "version": version,
        "created_at": created_at,
        "updated_at": updated_at,
    }


def batch_row(
    at: int, outcome: str, *, id: str | None = None, version: int | None = None, error: dict[str, object] | None = None
) -> dict[str, object]:
    """What became of a row of a batch. outcome: created, updated, unchanged or failed."""
    return {"index": at, "outcome": outcome, "id": id, "version": version, "error": error}


def batch_error(
    code: str, detail: str, *, errors: Iterable[tuple[str, str, str]], existing_ids: Sequence[str] = ()
) -> dict[str, object]:
    """Why a row failed. errors: pointer into the request's body, code and detail of each field at fault."""
    return {
        "code": code,
        "detail": detail,
        "errors": [{"pointer": pointer, "code": code, "detail": detail} for pointer, code, detail in errors],
        "existing_ids": list(existing_ids),
    }
