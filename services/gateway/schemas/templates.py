"""Message templates."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from services.gateway.schemas.fields import Answer, Body, Channel, Moment, Name, NoNul

MAX_TEMPLATE_BYTES = 64 * 1024
Liquid = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEMPLATE_BYTES), NoNul]
Subject = Annotated[str, StringConstraints(max_length=1000), NoNul]


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
    body: Annotated[Liquid, Field(description="Liquid, up to 64 KiB")]
    subject: Annotated[Subject | None, Field(description="Email only; Liquid")] = None


class TemplateUpdate(Body):
    # Those without None cannot be cleared; see SegmentUpdate.
    name: Name = Field(default_factory=str)
    body: Liquid = Field(default_factory=str)
    subject: Subject | None = None


class Template(Answer):
    id: str
    name: str
    channel: Channel
    body: str
    subject: str | None
    variables: Annotated[list[str], Field(description="The variables that body and subject use")]
    version: int
    created_at: Moment
    updated_at: Moment


class TemplatePage(Answer):
    data: list[Template]
    next_cursor: str | None
    has_more: bool
