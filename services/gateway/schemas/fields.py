"""Kinds of field that several nouns share, with the limits of the public contract."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from services.gateway.problem import FieldCode

METADATA_BYTES = 16 * 1024
METADATA_DEPTH = 5
MAX_TAGS = 100
MAX_TAG_LENGTH = 64
MAX_NAME_LENGTH = 200
MAX_BULK_IDS = 1000

Channel = Literal["sms", "whatsapp", "email", "rcs", "viber", "voice"]


class Body(BaseModel):
    """A request. Fields that it does not know are refused by name."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What an answer looks like: for the OpenAPI only, nothing is validated on the way out.

    A field without a default is always there, and null where there is nothing; one with a default may be absent.
    """


def refuse(code: FieldCode, detail: str) -> PydanticCustomError:
    return PydanticCustomError(code.value, "{detail}", {"detail": detail})


def no_control_characters(text: str) -> str:
    """NUL cannot be stored at all, so it is refused where it can still be named."""
    if "\x00" in text:
        raise refuse(FieldCode.INVALID_FORMAT, "The NUL character is not allowed.")
    return text


def parse_time(value: object) -> object:
    """RFC 3339 with an offset; numbers would be taken for Unix times otherwise."""
    if not isinstance(value, str):
        raise refuse(FieldCode.WRONG_TYPE, "A time is a string such as 2026-03-01T09:00:00Z.")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise refuse(FieldCode.INVALID_FORMAT, "A time looks like 2026-03-01T09:00:00Z (RFC 3339).") from None
    if moment.tzinfo is None or "T" not in value.upper():
        raise refuse(FieldCode.INVALID_FORMAT, "A time needs its offset: Z or +02:00 (RFC 3339).")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise refuse(FieldCode.OUT_OF_RANGE, "A time lies in the years 1 to 9999, in UTC.") from None


def check_json_object(value: dict[str, Any]) -> dict[str, Any]:
    check_depth(value, METADATA_DEPTH)
    try:
        size = len(orjson.dumps(value))
    except orjson.JSONEncodeError:
        raise refuse(FieldCode.INVALID_VALUE, "An integer has more than 64 bits.") from None
    if size > METADATA_BYTES:
        raise refuse(FieldCode.TOO_LONG, f"The object is longer than {METADATA_BYTES} bytes.")
    return value


def check_depth(value: object, left: int) -> None:
    if isinstance(value, str):
        no_control_characters(value)
    elif isinstance(value, dict | list):
        if left == 0:
            raise refuse(FieldCode.OUT_OF_RANGE, f"The object is nested deeper than {METADATA_DEPTH} levels.")
        if isinstance(value, dict):
            for key in value:
                no_control_characters(key)
        for inner in value.values() if isinstance(value, dict) else value:
            check_depth(inner, left - 1)


NoNul = AfterValidator(no_control_characters)
Text = Annotated[str, StringConstraints(max_length=1000), NoNul]
ShortText = Annotated[str, StringConstraints(max_length=MAX_NAME_LENGTH), NoNul]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME_LENGTH, strip_whitespace=True), NoNul]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=64), NoNul]
Region = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TAG_LENGTH, strip_whitespace=True), NoNul]
Tags = Annotated[list[Tag], Field(max_length=MAX_TAGS)]
Flag = StrictBool
RatePerSecond = Annotated[StrictInt, Field(ge=0, le=100_000)]
JsonObject = Annotated[dict[str, Any], AfterValidator(check_json_object)]
Time = Annotated[datetime, BeforeValidator(parse_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Limit = Annotated[int, Field(ge=1, le=100, description="Results a page")]
Cursor = Annotated[str, StringConstraints(max_length=4000), NoNul]

# --- answers

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T09:00:00Z"]})]


class FieldProblem(Answer):
    pointer: Annotated[str, Field(description="JSON pointer into the body, or / and the name of a parameter")]
    code: str
    detail: str


class Problem(Answer):
    """RFC 9457. `code` is one of the closed list in docs/errors.md."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[FieldProblem] | None = None


class RowError(Answer):
    row: Annotated[int, Field(description="1-based; the header is row 1")]
    reason: Annotated[str, Field(examples=["Invalid phone format"])]
    code: str
    column: str | None
