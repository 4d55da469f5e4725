"""What a field may hold: each returns the value as it is stored, or refuses it with a pointer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import orjson
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import ids
from formats import phones
from services.campaigns import convert, errors
from services.campaigns.domain.audience import Channel
from services.campaigns.domain.campaign import LATEST_START

MAX_NAME = 200
MAX_ADDRESS = 320
MAX_RATE = 100_000
MAX_JSON_BYTES = 16 * 1024
MAX_URL = 2048
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


def http_settings(text: str) -> str:
    """The settings of the generic HTTP provider, with nothing unknown in them."""
    settings = json_object(text, "/settings")
    unknown = sorted(settings.keys() - {"url", "honours_keys", "keys_kept_hours"})
    if unknown:
        raise errors.invalid(f"/settings/{unknown[0]}", "The http provider has no such setting.")
    check_url(settings.get("url"))
    if not isinstance(settings.get("honours_keys", True), bool):
        raise errors.invalid("/settings/honours_keys", "honours_keys must be true or false.")
    hours = settings.get("keys_kept_hours", 24)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 < hours <= 24 * 365:
        raise errors.invalid("/settings/keys_kept_hours", "keys_kept_hours must be a number above 0.")
    return dumped(settings)


def check_url(url: object) -> None:
    detail = "settings.url must be an absolute http or https URL without user information."
    if not isinstance(url, str) or len(url) > MAX_URL or any(ord(character) <= 32 for character in url):
        raise errors.invalid("/settings/url", detail)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc:
        raise errors.invalid("/settings/url", detail)


def secrets(text: str) -> str:
    """Strings by name; the values of headers, so without control characters."""
    found = json_object(text, "/secrets")
    for key, value in found.items():
        if key not in ("authorization", "webhook_secret"):
            raise errors.invalid(
                f"/secrets/{key}", "The http provider has no such secret; it has authorization and webhook_secret."
            )
        if not isinstance(value, str) or not value.isprintable() or not value.isascii():
            raise errors.invalid(f"/secrets/{key}", f"{key} must be a string of printable ASCII.")
    return dumped(found)


def cursor_id(parts: list[str]) -> UUID:
    """The id in a cursor that was found to be ours."""
    return UUID(parts[0])


def region(code: str) -> str | None:
    """ISO 3166-1 alpha-2 in either case; empty: none."""
    code = code.strip().upper()
    if code and code not in phones.REGIONS:
        raise errors.invalid("/default_region", f"{code!r} is not a region with phone numbers.")
    return code or None
