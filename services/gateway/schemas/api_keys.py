"""API keys of an account."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StrictInt

from services.gateway.domain.keys import SCOPES, Mode, Scope
from services.gateway.schemas.fields import Answer, Body, Moment, Name, Time

EXAMPLE_ID = "key_01h455vb4pex5vsknk084sn02q"
MAX_OVERLAP_SECONDS = 30 * 24 * 3600
DAY_SECONDS = 24 * 3600


class ApiKeyCreate(Body):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "CRM", "scopes": ["contacts:read", "segments:*"]}]}
    )
    name: Annotated[Name, Field(description="What the key is used for")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES))]
    mode: Annotated[Mode, Field(description="Campaigns of a test key reach only the sandbox provider")] = "live"
    expires_at: Annotated[Time | None, Field(description="Never, where it is not given")] = None
    rate_limit_per_second: Annotated[
        Annotated[StrictInt, Field(ge=1, le=100_000)] | None,
        Field(description="The deployment's default, where it is not given"),
    ] = None


class ApiKeyRotate(Body):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})
    overlap_seconds: Annotated[
        StrictInt, Field(ge=0, le=MAX_OVERLAP_SECONDS, description="How long the old key goes on; a day by default")
    ] = DAY_SECONDS


class ApiKey(Answer):
    id: Annotated[str, Field(examples=[EXAMPLE_ID])]
    name: Annotated[str, Field(examples=["CRM"])]
    mode: Mode
    scopes: Annotated[list[str], Field(examples=[["contacts:read", "segments:*"]])]
    rate_limit_per_second: Annotated[int | None, Field(description="null is the deployment's default")]
    created_at: Moment
    expires_at: Moment | None
    last_used_at: Annotated[Moment | None, Field(description="To the minute")]
    replaces: Annotated[str | None, Field(description="The key that this one was made to replace")]


class NewApiKey(ApiKey):
    key: Annotated[
        str | None,
        Field(
            description="Shown this once; null in the answer to a repeated request",
            examples=["ck_live_0123456789abcdef0123456789abcdef0123456789abcdef"],
        ),
    ]


class ApiKeyPage(Answer):
    data: list[ApiKey]
    next_cursor: str | None
    has_more: bool


class ApiKeyChange(Answer):
    action: Literal["created", "rotated", "revoked"]
    actor: Annotated[str, Field(description="The key whose request it was, or `operator`", examples=[EXAMPLE_ID])]
    request_id: str
    at: Moment


class ApiKeyUse(Answer):
    hour: Annotated[Moment, Field(description="Its beginning")]
    requests: int
    refused: Annotated[int, Field(description="Of them, over the rate limit or without the scope")]


class ApiKeyAudit(Answer):
    changes: Annotated[list[ApiKeyChange], Field(description="Newest first, up to 100")]
    uses: Annotated[list[ApiKeyUse], Field(description="By the hour, newest first, up to 168; kept for 90 days")]
