"""The do-not-contact list."""

from typing import Annotated

from pydantic import Field

from services.gateway.schemas.fields import Answer, Body, Channel, Moment, RowError, ShortText, Text


class SuppressionCreate(Body):
    """Exactly one of phone and email."""

    phone: Annotated[ShortText | None, Field(examples=["+1234567890"])] = None
    email: Text | None = None
    channels: Annotated[list[Channel] | None, Field(max_length=6, description="None: every channel")] = None
    reason: Annotated[ShortText | None, Field(examples=["asked by phone"])] = None


class Suppression(Answer):
    """Neither phone nor email where their contact was deleted: the entry stays in force by a keyed hash."""

    id: str
    phone: str | None
    email: str | None
    channels: list[Channel]
    reason: str | None
    created_at: Moment


class SuppressionPage(Answer):
    data: list[Suppression]
    next_cursor: str | None
    has_more: bool


class SuppressionsImported(Answer):
    """Counts of addresses: a row with a phone and an email has two."""

    imported: Annotated[int, Field(description="New on the list")]
    updated: Annotated[int, Field(description="On the list for some channels only, and now for more")]
    failed: Annotated[int, Field(description="Rows that cannot be taken")]
    duplicates: Annotated[int, Field(description="On the list already, or twice in the file")]
    errors: Annotated[list[RowError], Field(description="The first 100")]
