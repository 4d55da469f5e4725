"""What a field may hold: each returns the value as it is stored, or refuses it with a pointer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import ids
from chassis.destinations import Networks, check_host
from chassis.destinations import Refused as NotPublic
from formats import phones
from services.campaigns import convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.campaign import LATEST_START
from services.campaigns.providers.registry import KINDS
from services.campaigns.providers.settings import Refused, Schema, checked, hosts

MAX_NAME = 200
MAX_ADDRESS = 320
MAX_RATE = 100_000
MAX_JSON_BYTES = 16 * 1024
# Below, the scheduler's own pace would decide.
MIN_LATE = 60
MAX_LATE = 7 * 24 * 3600


def reference(prefix: str, noun: str, public_id: str) -> UUID:
    """The id in a path. Raises NotFound, for what is no id as for an unknown one."""
    value = ids.decode(prefix, public_id)
    if value is None:
        raise errors.not_found(noun, public_id)
    return value


def field_reference(pointer: str, prefix: str, noun: str, public_id: str) -> UUID:
    """The id in a field. Raises InvalidArgument."""
    value = ids.decode(prefix, public_id)
    if value is None:
        raise errors.unknown_reference(pointer, noun, public_id)
    return value


def name(text: str, *, pointer: str = "/name", longest: int = MAX_NAME) -> str:
    text = text.strip()
    if not 1 <= len(text) <= longest:
        raise errors.invalid(pointer, f"{pointer[1:]} must have 1 to {longest} characters.")
    return text


def channel(number: int) -> Channel:
    found = convert.CHANNEL_NAMES.get(number)  # type: ignore[call-overload]
    if found is None:
        raise errors.invalid("/channel", f"channel must be one of {', '.join(convert.CHANNELS)}.")
    return Channel(found)


def rate(value: int) -> int:
    if not 0 <= value <= MAX_RATE:
        raise errors.invalid("/rate_limit_per_second", f"rate_limit_per_second must be 0 to {MAX_RATE}; 0: unlimited.")
    return value


def max_late(seconds: int) -> int:
    """0: as long as it is where nothing is said."""
    if seconds and not MIN_LATE <= seconds <= MAX_LATE:
        raise errors.invalid(
            "/schedule_max_late_seconds", f"schedule_max_late_seconds must be {MIN_LATE} to {MAX_LATE}."
        )
    return seconds or int(LATEST_START.total_seconds())


def moment(value: Timestamp, pointer: str) -> datetime:
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise errors.invalid(pointer, f"{pointer[1:]} is not a time.") from error


def json_object(text: str, pointer: str) -> dict[str, Any]:
    """An empty text is an empty object."""
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError as error:
        raise errors.invalid(pointer, f"{pointer[1:]} must be a JSON object.") from error
    if not isinstance(value, dict):
        raise errors.invalid(pointer, f"{pointer[1:]} must be a JSON object.")
    if len(text.encode()) > MAX_JSON_BYTES:
        raise errors.invalid(pointer, f"{pointer[1:]} may have up to {MAX_JSON_BYTES} bytes.")
    return value


def loaded(text: str) -> dict[str, Any]:
    """What `dumped` made, or sifting."""
    found = orjson.loads(text)
    assert isinstance(found, dict)
    return found


def dumped(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


def provider_settings(provider: str, text: str, *, allowed: Networks) -> str:
    """The settings of a kind of provider, with nothing unknown in them. Raises InvalidArgument.

    allowed: where providers may be besides the public Internet. What a name leads to is looked at with each connection.
    """
    schema = KINDS[provider].settings
    given = fitting(schema, text, provider=provider, field="settings")
    for name, host in hosts(schema, given).items():
        try:
            check_host(host, allowed=allowed)
        except NotPublic as refused:
            raise errors.invalid(f"/settings/{name}", f"{name}: {refused}.", code="not_allowed") from refused
    return dumped(given)


def provider_secrets(provider: str, text: str) -> str:
    """The secrets of a kind of provider, with nothing unknown in them. Raises InvalidArgument."""
    return dumped(fitting(KINDS[provider].secrets, text, provider=provider, field="secrets"))


def fitting(schema: Schema, text: str, *, provider: str, field: str) -> dict[str, Any]:
    given = json_object(text, f"/{field}")
    try:
        return checked(schema, given, provider=provider, noun=field.removesuffix("s"))
    except Refused as refused:
        raise errors.invalid(f"/{field}/{refused.name}", refused.detail) from refused


def cursor_id(parts: list[str]) -> UUID:
    """The id in a cursor that was found to be ours."""
    return UUID(parts[0])


def region(code: str) -> str | None:
    """ISO 3166-1 alpha-2 in either case; empty: none."""
    code = code.strip().upper()
    if code and code not in phones.REGIONS:
        raise errors.invalid("/default_region", f"{code!r} is not a region with phone numbers.")
    return code or None
