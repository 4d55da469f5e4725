"""Webhooks, their attempts, and events as they carry them."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StrictInt, StringConstraints, WithJsonSchema

from chassis import destinations
from services.gateway.domain import event_types
from services.gateway.problem import FieldCode
from services.gateway.schemas.fields import Answer, Body, Flag, Moment, NoNul, ShortText, refuse

DAY_SECONDS = 24 * 3600
EXAMPLE_WEBHOOK = "whk_01h455vb4pex5vsknk084sn02q"
EXAMPLE_EVENT = "01890a5d-ac96-774b-bcce-b302099a8057"


def known_type(text: str) -> str:
    if text not in event_types.KNOWN:
        raise refuse(FieldCode.NOT_ALLOWED, "There is no such type of event; docs/events.md lists them.")
    return text


EventType = Annotated[
    str,
    AfterValidator(known_type),
    WithJsonSchema({"type": "string", "enum": [*event_types.EVENT_TYPES, *event_types.WILDCARDS]}),
]
EventTypes = Annotated[
    list[EventType],
    Field(max_length=100, description="Types, or `contact.*` for all of an entity; empty: everything"),
]
Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=destinations.MAX_URL_LENGTH),
    NoNul,
    Field(description="https:// and a host on the public Internet", examples=["https://example.com/hooks"]),
]


class WebhookCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"url": "https://example.com/hooks", "event_types": ["contact.*", "segment.members_changed"]}]
        },
    )
    url: Url
    description: ShortText = ""
    event_types: EventTypes = Field(default_factory=list)
    enabled: Flag = True


class WebhookUpdate(Body):
    # None of them can be cleared; see SegmentUpdate.
    url: Url = Field(default_factory=str)
    description: ShortText = Field(default_factory=str)
    event_types: EventTypes = Field(default_factory=list)
    enabled: Flag = Field(default_factory=bool)


class SecretRotation(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": DAY_SECONDS}]})
    overlap_seconds: Annotated[
        StrictInt,
        Field(ge=0, le=7 * DAY_SECONDS, description="How long the old secret signs too; 0: no longer from now on"),
    ] = DAY_SECONDS


class Webhook(Answer):
    id: Annotated[str, Field(examples=[EXAMPLE_WEBHOOK])]
    url: str
    description: str
    event_types: list[str]
    enabled: bool
    disabled_reason: Annotated[
        Literal["gone"] | None, Field(description="`gone`: it answered 410; null where a person disabled it")
    ]
    old_secret_expires_at: Annotated[Moment | None, Field(description="While a rotation overlaps")]
    version: int
    created_at: Moment
    updated_at: Moment


class WebhookWithSecret(Webhook):
    secret: Annotated[
        str | None,
        Field(
            description="For checking signatures; shown this once, null in the answer to a repeated request",
            examples=["whsec_C2FVsBQIhrscChlQIMV+b5s="],
        ),
    ]


class WebhookPage(Answer):
    data: list[Webhook]
    next_cursor: str | None
    has_more: bool


class Attempt(Answer):
    id: Annotated[str, Field(examples=["wat_01h455vb4pex5vsknk084sn02q"])]
    webhook_id: Annotated[str, Field(examples=[EXAMPLE_WEBHOOK])]
    event_id: Annotated[str, Field(examples=[EXAMPLE_EVENT])]
    event_type: Annotated[str, Field(examples=["contact.updated"])]
    position: Annotated[int | None, Field(description="In the feed of events; null of a test")]
    number: Annotated[int, Field(description="From 1; a replay begins anew")]
    outcome: Annotated[
        Literal["delivered", "failed", "gone"], Field(description="`gone`: 410, which disabled the webhook")
    ]
    status: Annotated[int | None, Field(description="What it answered; null where no answer came")]
    error: Annotated[
        str | None,
        Field(
            description="`status`, `redirect`, `timeout`, `name_not_resolved`, `connection_refused`, "
            "`connection_broken: …`, `tls_failed`, `address_refused: …`, `event_expired`; null of a delivery"
        ),
    ]
    started_at: Moment
    duration_ms: int
    next_attempt_at: Annotated[Moment | None, Field(description="Null where it was delivered, or was the last")]


class AttemptPage(Answer):
    data: list[Attempt]
    next_cursor: str | None
    has_more: bool


class Queued(Answer):
    event_id: Annotated[str, Field(description="Look for it among the attempts", examples=[EXAMPLE_EVENT])]


class Event(Answer):
    id: Annotated[str, Field(description="As on NATS and in `webhook-id`", examples=[EXAMPLE_EVENT])]
    type: Annotated[str, Field(examples=["contact.updated"])]
    timestamp: Annotated[Moment, Field(description="When it happened")]
    position: Annotated[int, Field(description="In the account's feed: from 1, without gaps")]
    data: Annotated[
        dict[str, Any] | None,
        Field(description="The event's message; docs/events.md. Null, with `data_base64`, where it is not known yet"),
    ]


class EventPage(Answer):
    data: list[Event]
    next_after: Annotated[int, Field(description="`after` of the next page, also where this one is empty")]
    has_more: Annotated[bool, Field(description="The next page may have events already")]
