"""The rule of a segment: described in full, and checked only so far that it can travel.

What a rule may say is the segments service's to judge. Its faults point into the definition, and so into the body.
The models of a rule describe it and are never made.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, RootModel, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from formats.contact_json import CHANNELS
from services.gateway.schemas.fields import Body

MAX_RULE_BYTES = 256 * 1024

# The two forms of a definition.
PARTS = ("conditions", "rules")

FIELDS = (
    "id", "name", "first_name", "last_name", "phone", "email", "country", "stage", "gender", "language", "timezone",
    "external_id", "instagram_id", "channel", "custom_channel", "chat_widget_id", "current_campaign",
    *(f"preferences.{channel}" for channel in CHANNELS), "validity.phone", "validity.email",
    "tags", "lists", "channels", "is_chat_window_open", "do_not_disturb", "is_bot_active",
    "created_at", "updated_at", "version",
    "last_message_at", "last_delivered_at", "last_opened_at", "last_replied_at", "messages_received", "campaigns",
    "segments",
)  # fmt: skip
OPERATORS = (
    "equals", "in", "contains", "contains_any", "contains_all", "starts_with", "ends_with", "gt", "gte", "lt", "lte",
    "between", "before", "after", "in_last", "in_next", "anniversary", "exists",
)  # fmt: skip
CUSTOM_FIELD = r"^(metadata|current_campaign_data)\..+$"

PREMIUM: dict[str, Any] = {"field": "tags", "operator": "contains", "value": "premium"}
SEATS: dict[str, Any] = {"field": "metadata.plan.seats", "operator": "gte", "value": 10}
RECENT: dict[str, Any] = {"field": "last_opened_at", "operator": "in_last", "value": "30d"}
NESTED: dict[str, Any] = {
    "any": [SEATS, {"all": [PREMIUM, RECENT, {"not": {"field": "country", "operator": "in", "value": ["DE", "FR"]}}]}]
}

FIELD_SCHEMA: dict[str, Any] = {"anyOf": [{"enum": list(FIELDS)}, {"pattern": CUSTOM_FIELD, "maxLength": 322}]}
OPERATOR_SCHEMA: dict[str, Any] = {"enum": [*OPERATORS, *(f"not_{operator}" for operator in OPERATORS)]}
SCALARS: list[Any] = [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "number"}, {"type": "boolean"}]
VALUE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        *SCALARS,
        {"type": "array", "items": {"anyOf": SCALARS}, "minItems": 1, "maxItems": 500},
        {"type": "null"},
    ]
}


class Condition(Body):
    """A comparison of one field. It is false where the field is empty, and its negation then true."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [PREMIUM, SEATS, RECENT]})
    field: Annotated[
        str,
        Field(
            description="A field of the contact or of its engagement; custom data by its path, `metadata.plan.seats`",
            json_schema_extra=FIELD_SCHEMA,
        ),
    ]
    operator: Annotated[
        str,
        Field(
            description="One that fits the field's type. With `not_` before it, it is exactly the opposite",
            json_schema_extra=OPERATOR_SCHEMA,
        ),
    ]
    # A default_factory keeps the made-up default out of the OpenAPI.
    value: Any = Field(
        default_factory=lambda: None,
        description=(
            "By the field's type and the operator: texts (compared without regard to case), numbers, booleans, times "
            "(RFC 3339 or a date), durations (`30d`, `12h`). An array means any of them. None for `exists`"
        ),
        json_schema_extra=VALUE_SCHEMA,
    )


class RuleGroup(Body):
    """All of `all`, any of `any`, and not `not`; of several keys in one group, all must hold."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "examples": [NESTED]})
    all: Annotated["list[Rule]", Field(min_length=1, max_length=100)] = Field(default_factory=list)
    any: Annotated["list[Rule]", Field(min_length=1, max_length=100)] = Field(default_factory=list)
    not_: Annotated["Rule", Field(alias="not", default_factory=dict)]


class Rule(RootModel[RuleGroup | Condition]):
    """A group or a condition. Groups nest to depth 8, the one at the top included, with 100 conditions in all."""

    # One shape in the OpenAPI, asked and answered: what is recursive would be two otherwise.
    model_config = ConfigDict(json_schema_extra={"examples": [NESTED]}, json_schema_mode_override="validation")


@dataclass(frozen=True, slots=True)
class DescribedAs:
    """Of a type that is validated as something looser than what the OpenAPI says."""

    kind: Any

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(TypeAdapter(self.kind).core_schema)


Conditions = Annotated[
    list[Any],
    DescribedAs(Annotated[list[Condition], Field(min_length=1, max_length=100)]),
    Field(description="All must hold", examples=[[PREMIUM]]),
]
Rules = Annotated[dict[str, Any], DescribedAs(Rule)]


class Definition(Body):
    """Either `conditions` or `rules`."""

    conditions: Conditions = Field(default_factory=list)
    rules: Rules = Field(default_factory=dict)
