"""Message templates."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from services.gateway.schemas.fields import Answer, Body, Channel, JsonObject, Moment, Name, NoNul, Reference

MAX_TEMPLATE_BYTES = 64 * 1024
Liquid = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEMPLATE_BYTES), NoNul]
Subject = Annotated[str, StringConstraints(max_length=1000), NoNul]
Parameter = Annotated[str, StringConstraints(min_length=1, max_length=1000), NoNul]


class WhatsApp(Body):
    """A message that WhatsApp has approved, and what goes into its places."""

    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,512}$"),
        Field(description="As WhatsApp knows it; with Twilio the ContentSid, `HX…`"),
    ]
    language: Annotated[str, StringConstraints(max_length=16), NoNul, Field(description="Such as `en` or `pt_BR`")]
    parameters: Annotated[list[Parameter], Field(max_length=20, description="In order; Liquid")] = Field(
        default_factory=list
    )


class TemplateCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "Spring", "channel": "sms", "body": 'Hi {{ name }}, use {{ code | default: "SPRING" }}'}
            ]
        },
    )
    name: Name
    channel: Channel = "sms"
    body: Annotated[Liquid, Field(description="Liquid, up to 64 KiB; of an email its plain text")]
    subject: Annotated[Subject | None, Field(description="Email only; Liquid")] = None
    html: Annotated[
        Liquid | None,
        Field(
            description="Email only; Liquid, up to 64 KiB. What variables hold is escaped; `| safe` lets HTML through"
        ),
    ] = None
    whatsapp: Annotated[WhatsApp | None, Field(description="WhatsApp only: sent instead of the body")] = None


class TemplateUpdate(Body):
    # Those without None cannot be cleared; see SegmentUpdate.
    name: Name = Field(default_factory=str)
    body: Liquid = Field(default_factory=str)
    subject: Subject | None = None
    html: Liquid | None = None
    whatsapp: WhatsApp | None = None


class TemplateRender(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"variables": {"name": "Ann"}}]})
    contact_id: Annotated[Reference | None, Field(description="Whose fields the message may use")] = None
    variables: Annotated[JsonObject | None, Field(description="Above the contact's")] = None


class Template(Answer):
    id: str
    name: str
    channel: Channel
    body: str
    subject: str | None
    html: str | None
    whatsapp: WhatsApp | None
    variables: Annotated[list[str], Field(description="The variables that any part uses")]
    version: int
    created_at: Moment
    updated_at: Moment


class Rendered(Answer):
    """What the template says to somebody."""

    channel: Channel
    text: str
    subject: str | None
    html: str | None
    whatsapp: WhatsApp | None
    encoding: Annotated[
        Literal["gsm7", "ucs2"] | None, Field(description="Of an SMS: `gsm7`, or `ucs2` where a character needs it")
    ]
    characters: Annotated[
        int | None, Field(description="Of the encoding: `€ [ ] { } ~ ^ | \\` and emojis count as two")
    ]
    parts: Annotated[
        int | None, Field(description="Of an SMS: 160 characters in one, 153 each in several; with `ucs2` 70 and 67")
    ]
    missing: Annotated[
        list[str],
        Field(description="Printed, without a value and without a `default`: a recipient without them is skipped"),
    ]


class TemplatePage(Answer):
    data: list[Template]
    next_cursor: str | None
    has_more: bool
