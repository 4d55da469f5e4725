"""What the gateway itself refuses, before any service is asked."""

from chassis.errors import (
    CarillonError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    ResourceExhausted,
    Unauthenticated,
    Violation,
)


class UnsupportedMediaType(InvalidArgument):
    """HTTP knows this one, gRPC does not."""


def media_type(expected: str) -> UnsupportedMediaType:
    return UnsupportedMediaType(Reason.UNSUPPORTED_MEDIA_TYPE, f"The body must be {expected}.")


def unauthenticated(detail: str) -> Unauthenticated:
    return Unauthenticated(Reason.UNAUTHENTICATED, detail)


def scope_lacking(scope: str) -> PermissionDenied:
    return PermissionDenied(
        Reason.PERMISSION_DENIED, f"The API key lacks the scope {scope}.", metadata={"scope": scope}
    )


def too_large(limit: int) -> ResourceExhausted:
    return ResourceExhausted(
        Reason.PAYLOAD_TOO_LARGE,
        f"The body is larger than the {limit:,} bytes that this call takes.",
        metadata={"limit_bytes": str(limit)},
    )


def unknown_id(noun: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"There is no {noun} with that id.")


def malformed(detail: str) -> InvalidArgument:
    return InvalidArgument(Reason.INVALID_REQUEST, detail)


def refused_field(pointer: str, code: str, detail: str) -> InvalidArgument:
    return InvalidArgument(Reason.VALIDATION_FAILED, detail, violations=[Violation(pointer, code, detail)])


def upload_incomplete() -> CarillonError:
    return InvalidArgument(Reason.UPLOAD_INCOMPLETE, "The upload broke off before its end; nothing of it was kept.")
