"""Segments: groups of contacts that keep themselves up to date."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from services.gateway.problem import FieldCode
from services.gateway.schemas.contacts import Contact
from services.gateway.schemas.fields import Answer, Body, Moment, Name, ShortText, no_control_characters, refuse

MAX_VALUES = 100
MAX_CONDITIONS = 100
MAX_VALUE_LENGTH = 1000


def check_value(value: object) -> object:
    """A string, or a list of strings: kept as written, because it reads back as written."""
    given = value if isinstance(value, list) else [value]
    values = [one for one in given if isinstance(one, str)]
    if len(values) < len(given):
        raise refuse(FieldCode.WRONG_TYPE, "A value is a string or an array of strings.")
    if not 1 <= len(values) <= MAX_VALUES:
        raise refuse(FieldCode.OUT_OF_RANGE, f"An array has 1 to {MAX_VALUES} values.")
    for one in values:
        if len(one) > MAX_VALUE_LENGTH:
            raise refuse(FieldCode.TOO_LONG, f"A value has at most {MAX_VALUE_LENGTH} characters.")
        no_control_characters(one)
    return value


Value = Annotated[
    object,
    BeforeValidator(check_value),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": MAX_VALUE_LENGTH},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MAX_VALUES},
            ]
        }
    ),
]


class Condition(Body):
    field: Annotated[ShortText, Field(description="`name`, `phone`, `email` or `tags`", examples=["tags"])]
    operator: Annotated[
        ShortText, Field(description="`equals`, `contains`, `starts_with` or `ends_with`", examples=["contains"])
    ]
    value: Annotated[Value, Field(description="One value, or several of which any may match", examples=["premium"])]


Conditions = Annotated[list[Condition], Field(min_length=1, max_length=MAX_CONDITIONS, description="All must match")]


class SegmentCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Premium Customers",
                    "conditions": [{"field": "tags", "operator": "contains", "value": "premium"}],
                }
            ]
        },
    )
    name: Name
    conditions: Conditions


class SegmentUpdate(Body):
    # Absent, or a value, never null: a default_factory keeps the made-up default out of the OpenAPI.
    name: Name = Field(default_factory=str)
    conditions: Conditions = Field(default_factory=list)


class Segment(Answer):
    id: str
    name: str
    conditions: list[Condition]
    status: Literal["building", "ready", "failed"]
    member_count: int
    as_of: Moment
    version: int
    created_at: Moment
    updated_at: Moment


class SegmentPage(Answer):
    data: list[Segment]
    next_cursor: str | None
    has_more: bool


class Member(Answer):
    contact: Contact
    joined_at: Moment


class MemberPage(Answer):
    data: list[Member]
    next_cursor: str | None
    has_more: bool
    revision: Annotated[int, Field(description="Events with a higher one come after this page")]
