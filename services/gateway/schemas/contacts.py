"""Contacts and their tags."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from services.gateway.schemas.fields import (
    MAX_BULK_IDS,
    Answer,
    Body,
    Flag,
    JsonObject,
    Moment,
    Reference,
    ShortText,
    Tags,
    Text,
)

PREMIUM: dict[str, Any] = {
    "phone": "+1234567890",
    "name": "John Doe",
    "email": "john@example.com",
    "tags": ["premium", "active"],
}


class ContactFields(Body):
    """Fields of a contact to write. On an update, absent fields stay, and null clears one."""

    phone: Annotated[ShortText | None, Field(description="E.164, or national with `default_region`")] = None
    email: Annotated[Text | None, Field(description="Unique only among contacts without a phone")] = None
    first_name: ShortText | None = None
    last_name: ShortText | None = None
    name: Annotated[ShortText | None, Field(description="Split into first and last name where those are absent")] = None
    country: Annotated[ShortText | None, Field(description="ISO 3166-1 alpha-2; from the phone when not given")] = None
    stage: ShortText | None = None
    gender: ShortText | None = None
    language: ShortText | None = None
    timezone: ShortText | None = None
    tags: Annotated[Tags | None, Field(description="Replaces the set")] = None
    metadata: Annotated[
        JsonObject | None, Field(description="Merged by key; a null value drops the key; 16 KiB, 5 levels")
    ] = None
    external_id: ShortText | None = None
    instagram_id: ShortText | None = None
    channel: ShortText | None = None
    custom_channel: ShortText | None = None
    chat_widget_id: ShortText | None = None
    current_campaign: ShortText | None = None
    current_campaign_data: JsonObject | None = None
    is_chat_window_open: Flag | None = None
    is_bot_active: Flag | None = None
    do_not_disturb: Flag | None = None


class ContactCreate(ContactFields):
    """At least one of phone, email and external_id."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [PREMIUM]})


class ContactUpdate(ContactFields):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tags": ["premium", "vip"]}]})


class BulkDelete(Body):
    contact_ids: Annotated[list[Reference], Field(min_length=1, max_length=MAX_BULK_IDS)]


class TagsAdd(Body):
    tags: Annotated[Tags, Field(min_length=1, examples=[["premium"]])]


Verdict = Literal["valid", "invalid", "unknown"]


class ContactValidity(Answer):
    phone: Verdict
    email: Verdict


class Contact(Answer):
    id: Annotated[str, Field(examples=["cnt_01h455vb4pex5vsknk084sn02q"])]
    phone: str | None
    email: str | None
    first_name: str | None
    last_name: str | None
    name: str | None
    country: str | None
    stage: str | None
    gender: str | None
    language: str | None
    timezone: str | None
    tags: list[str]
    metadata: dict[str, Any]
    external_id: str | None
    instagram_id: str | None
    channel: str | None
    custom_channel: str | None
    chat_widget_id: str | None
    current_campaign: str | None
    current_campaign_data: dict[str, Any] | None
    is_chat_window_open: bool
    is_bot_active: bool
    do_not_disturb: bool
    preferences: dict[str, Literal["opted_in", "opted_out", "unknown"]]
    channels: list[str]
    validity: ContactValidity
    lists: list[str]
    version: int
    created_at: Moment
    updated_at: Moment


class ContactMatch(Contact):
    matches: Annotated[int, Field(description="How many contacts have the key")]


class ContactPage(Answer):
    data: list[Contact]
    next_cursor: str | None
    has_more: bool
    total: Annotated[int | None, Field(description="Of all pages; only with `include_total=true`")] = None
    total_is_estimate: Annotated[bool | None, Field(description="Counting would have taken too long")] = None


class TagPage(Answer):
    data: list[str]
    next_cursor: None
    has_more: bool


class BulkDeleteAnswer(Answer):
    deleted: int
    not_found: list[str]
