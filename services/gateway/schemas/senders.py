"""Senders: from where and through whom messages go."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from services.gateway.schemas.fields import (
    Answer,
    Body,
    Channel,
    Flag,
    JsonObject,
    Moment,
    Name,
    NoNul,
    RatePerSecond,
    ShortText,
)

Address = Annotated[str, StringConstraints(min_length=1, max_length=320), NoNul]


class SenderCreate(Body):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "name": "Main number",
                    "channel": "sms",
                    "address": "+15550100",
                    "provider": "http",
                    "settings": {"url": "https://provider.example/messages"},
                    "secrets": {"authorization": "Bearer provider-token"},
                    "rate_limit_per_second": 50,
                }
            ]
        },
    )
    name: Name
    channel: Channel
    address: Annotated[Address, Field(description="What the recipient sees: a number, a short code, an email address")]
    provider: Annotated[
        ShortText, Field(description="`http`, `twilio`, `smtp` or `sandbox`; see docs/providers.md")
    ] = "http"
    settings: Annotated[JsonObject, Field(description="Of the provider; unknown ones are refused")] = Field(
        default_factory=dict
    )
    secrets: Annotated[JsonObject | None, Field(description="Of the provider; written only, never read back")] = None
    rate_limit_per_second: Annotated[RatePerSecond | None, Field(description="None: unlimited")] = None
    is_default: Annotated[Flag, Field(description="Taken for its channel where a campaign names no sender")] = False


class SenderUpdate(Body):
    # Those without None cannot be cleared; see SegmentUpdate.
    name: Name = Field(default_factory=str)
    address: Address = Field(default_factory=str)
    settings: JsonObject = Field(default_factory=dict)
    secrets: JsonObject | None = None
    rate_limit_per_second: RatePerSecond | None = None
    is_default: Flag = Field(default_factory=bool)


class SenderTest(Body):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"to": "+14155550100", "text": "Does this arrive?"}]}
    )
    to: Annotated[Address, Field(description="A phone; or an email, by channel")]
    text: Annotated[str, StringConstraints(min_length=1, max_length=1600), NoNul]


class Sender(Answer):
    id: str
    name: str
    channel: Channel
    address: str
    provider: str
    settings: dict[str, Any]
    rate_limit_per_second: int | None
    is_default: bool
    receipts_url: Annotated[
        str | None,
        Field(description="Where the provider posts receipts; keep it secret. Null where a creation is repeated"),
    ]
    version: int
    created_at: Moment
    updated_at: Moment


class SenderPage(Answer):
    data: list[Sender]
    next_cursor: str | None
    has_more: bool
