"""problem+json (RFC 9457): the one table from a reason to an HTTP answer, and the closed list of field codes."""

from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

from chassis.errors import CarillonError, Internal, Reason

MEDIA_TYPE = "application/problem+json"

# Every reason of carillon.errors.v1 and its status; a unit test holds the two lists together.
STATUS: dict[str, int] = {
    Reason.INVALID_REQUEST: 400,
    Reason.VALIDATION_FAILED: 422,
    Reason.UNAUTHENTICATED: 401,
    Reason.PERMISSION_DENIED: 403,
    Reason.NOT_FOUND: 404,
    Reason.ROUTE_NOT_FOUND: 404,
    Reason.METHOD_NOT_ALLOWED: 405,
    Reason.UNSUPPORTED_MEDIA_TYPE: 415,
    Reason.PAYLOAD_TOO_LARGE: 413,
    Reason.INVALID_CURSOR: 400,
    Reason.VERSION_MISMATCH: 412,
    Reason.IDEMPOTENCY_KEY_REUSED: 422,
    Reason.IDEMPOTENCY_IN_PROGRESS: 409,
    Reason.RATE_LIMITED: 429,
    Reason.DEADLINE_EXCEEDED: 504,
    Reason.UNAVAILABLE: 503,
    Reason.INTERNAL: 500,
    Reason.NOT_ACCEPTABLE: 406,
    Reason.INVALID_PHONE: 422,
    Reason.INVALID_EMAIL: 422,
    Reason.CONTACT_EXISTS: 409,
    Reason.IDENTITY_CONFLICT: 409,
    Reason.IDENTITY_REQUIRED: 422,
    Reason.SUPPRESSION_EXISTS: 409,
    Reason.FILE_EMPTY: 422,
    Reason.FILE_UNREADABLE: 422,
    Reason.UNKNOWN_COLUMNS: 422,
    Reason.UPLOAD_INCOMPLETE: 400,
    Reason.INVALID_RULE: 422,
    Reason.SEGMENT_IN_USE: 409,
    Reason.INVALID_STATE: 409,
    Reason.AUDIENCE_CONFLICT: 409,
    Reason.AUDIENCE_MISSING: 409,
    Reason.SENDER_REQUIRED: 422,
    Reason.INVALID_TEMPLATE: 422,
    Reason.RESOURCE_IN_USE: 409,
    Reason.POSITION_EXPIRED: 410,
}

# Metadata of an error under another name or type than the text it travels as. `status` would hide the HTTP status.
LISTS = frozenset({"existing_ids", "columns", "used_by"})
NUMBERS = frozenset({"limit_bytes", "version", "resume_after"})
RENAMED = {"status": "current_status"}
HEADERS_OF = {"retry_after": "Retry-After"}


class FieldCode(StrEnum):
    """`errors[].code` where no reason of carillon.errors.v1 is closer."""

    REQUIRED = "required"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    TOO_LONG = "too_long"
    TOO_SHORT = "too_short"
    OUT_OF_RANGE = "out_of_range"
    NOT_ALLOWED = "not_allowed"
    INVALID_FORMAT = "invalid_format"
    DUPLICATE = "duplicate"
    INVALID_VALUE = "invalid_value"


def title(reason: str) -> str:
    """`contact_exists` reads "Contact exists"."""
    return reason.replace("_", " ").capitalize()


def document(error: CarillonError, *, instance: str, request_id: str) -> dict[str, Any]:
    """The body. An error of the inside tells nothing but the request id, and of an import which one it was."""
    inside = isinstance(error, Internal) or error.reason not in STATUS
    reason = str(Reason.INTERNAL) if inside else error.reason
    body: dict[str, Any] = {
        "type": f"urn:carillon:error:{reason}",
        "title": title(reason),
        "status": STATUS[reason],
        "detail": "Something went wrong on our side. The request id finds it in our logs." if inside else error.detail,
        "instance": instance,
        "code": reason,
        "request_id": request_id,
    }
    if inside:
        return body | {key: value for key, value in error.metadata.items() if key == "import_id"}
    if error.violations:
        body["errors"] = [{"pointer": v.pointer, "code": v.code, "detail": v.detail} for v in error.violations]
    for key, value in error.metadata.items():
        if key not in HEADERS_OF:
            body.setdefault(RENAMED.get(key, key), extension(key, value))
    return body


def extension(key: str, value: str) -> object:
    if key in LISTS:
        return [part.strip() for part in value.split(",") if part.strip()]
    if key in NUMBERS and value.isdigit():
        return int(value)
    return value


def render(error: CarillonError, *, instance: str, request_id: str) -> Response:
    """The answer to a refused request."""
    body = document(error, instance=instance, request_id=request_id)
    headers = {HEADERS_OF[key]: value for key, value in error.metadata.items() if key in HEADERS_OF}
    if body["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="carillon"'
    if body["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", "1")
    return Response(orjson.dumps(body), status_code=body["status"], media_type=MEDIA_TYPE, headers=headers)
