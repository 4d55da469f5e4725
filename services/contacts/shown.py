"""Contacts in JSON, for pages that are handed on as they are (formats.contact_json)."""

from collections.abc import Iterable

import orjson

from chassis import ids
from formats import contact_json
from services.contacts.domain.contact import Contact


def page(rows: Iterable[Contact]) -> bytes:
    """A JSON array."""
    return orjson.dumps([shown(row) for row in rows], option=contact_json.OPTIONS)


def shown(row: Contact) -> dict[str, object]:
    return contact_json.shown(
        id=ids.encode("cnt", row.id),
        phone=row.phone,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        name=row.name,
        country=row.country,
        stage=row.stage,
        gender=row.gender,
        language=row.language,
        timezone=row.timezone,
        external_id=row.external_id,
        instagram_id=row.instagram_id,
        channel=row.channel,
        custom_channel=row.custom_channel,
        chat_widget_id=row.chat_widget_id,
        current_campaign=row.current_campaign,
        current_campaign_data=row.current_campaign_data,
        tags=row.tags,
        metadata=row.metadata,
        is_chat_window_open=row.is_chat_window_open,
        is_bot_active=row.is_bot_active,
        do_not_disturb=row.do_not_disturb,
        preferences={} if row.preferences == "{}" else orjson.loads(row.preferences),
        channels=row.channels,
        phone_validity=row.phone_validity,
        email_validity=row.email_validity,
        lists=[ids.encode("lst", list_id) for list_id in row.list_ids],
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
