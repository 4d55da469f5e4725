"""A contact as the API answers with it: a line of a JSONL export. An end-to-end test holds the two together."""

from datetime import UTC, datetime
from typing import Any

import orjson

from chassis import ids
from services.contacts.convert import CHANNELS
from services.contacts.domain.contact import Contact

TEXTS = (
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


def document(row: Contact) -> dict[str, Any]:
    data = row.current_campaign_data
    return {
        "id": ids.encode("cnt", row.id),
        **{name: getattr(row, name) for name in TEXTS},
        "current_campaign_data": None if data is None else orjson.Fragment(data),
        "tags": row.tags,
        "metadata": orjson.Fragment(row.metadata),
        "is_chat_window_open": row.is_chat_window_open,
        "is_bot_active": row.is_bot_active,
        "do_not_disturb": row.do_not_disturb,
        "preferences": dict.fromkeys(CHANNELS, "unknown") | orjson.loads(row.preferences),
        "channels": row.channels,
        "validity": {"phone": row.phone_validity, "email": row.email_validity},
        "lists": [ids.encode("lst", list_id) for list_id in row.list_ids],
        "version": row.version,
        "created_at": moment(row.created_at),
        "updated_at": moment(row.updated_at),
    }


def moment(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def line(row: Contact) -> bytes:
    return orjson.dumps(document(row), option=orjson.OPT_APPEND_NEWLINE)
