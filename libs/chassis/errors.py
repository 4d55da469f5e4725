"""The one way in which a call is refused, from the domain to the REST client.

CarillonError
├── InvalidArgument       the caller must change the request
├── Unauthenticated       who is it?
├── PermissionDenied      known, but not allowed
├── NotFound
├── AlreadyExists
├── FailedPrecondition    the state does not fit the call
├── Aborted               lost against a concurrent change, or an outdated version
├── ResourceExhausted     too much, too fast
├── DeadlineExceeded
├── Unavailable           safe to retry
├── Unimplemented
└── Internal              our fault; carries no detail to the outside

A servicer raises one; it travels as google.rpc.Status with ErrorInfo and BadRequest; the client raises the
same one again; the gateway renders it as problem+json. Reasons: proto/carillon/errors/v1/errors.proto.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

from carillon.errors.v1.reasons import Reason

__all__ = ["CarillonError", "Reason", "Violation"]

DOMAIN = "carillon"
# A status travels in trailers, which gRPC bounds at 8 KiB.
MAX_VIOLATIONS = 25
MAX_DETAIL_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Violation:
    """One field that is refused: a JSON pointer into the request, a reason's code, a sentence for a person."""

    pointer: str
    code: str
    detail: str


class CarillonError(Exception):
    """Base of every refusal. `reason` is stable, `detail` is for people and may change."""

    status: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = str(reason)
        self.detail = detail
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)


class InvalidArgument(CarillonError):
    status = grpc.StatusCode.INVALID_ARGUMENT


class Unauthenticated(CarillonError):
    status = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(CarillonError):
    status = grpc.StatusCode.PERMISSION_DENIED


class NotFound(CarillonError):
    status = grpc.StatusCode.NOT_FOUND


class AlreadyExists(CarillonError):
    status = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(CarillonError):
    status = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(CarillonError):
    status = grpc.StatusCode.ABORTED


class ResourceExhausted(CarillonError):
    status = grpc.StatusCode.RESOURCE_EXHAUSTED


class DeadlineExceeded(CarillonError):
    status = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(CarillonError):
    status = grpc.StatusCode.UNAVAILABLE


class Unimplemented(CarillonError):
    status = grpc.StatusCode.UNIMPLEMENTED


class Internal(CarillonError):
    status = grpc.StatusCode.INTERNAL


BY_STATUS: dict[grpc.StatusCode, type[CarillonError]] = {kind.status: kind for kind in CarillonError.__subclasses__()}
BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}

# What a status means that came without details: from the transport, or from a proxy between.
# Its own text names addresses of the inside, so that it is not passed on.
UNDETAILED: dict[grpc.StatusCode, tuple[type[CarillonError], str, str]] = {
    grpc.StatusCode.DEADLINE_EXCEEDED: (
        DeadlineExceeded,
        Reason.DEADLINE_EXCEEDED,
        "The answer was not ready in time.",
    ),
    grpc.StatusCode.CANCELLED: (DeadlineExceeded, Reason.DEADLINE_EXCEEDED, "The call was given up."),
    grpc.StatusCode.UNAVAILABLE: (Unavailable, Reason.UNAVAILABLE, "A part of the service cannot be reached now."),
    grpc.StatusCode.UNAUTHENTICATED: (Unauthenticated, Reason.UNAUTHENTICATED, "The call is not authenticated."),
    grpc.StatusCode.UNIMPLEMENTED: (Unimplemented, Reason.INTERNAL, "The call is not known there."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (ResourceExhausted, Reason.PAYLOAD_TOO_LARGE, "The message is too large."),
}
NOT_OURS = (Internal, Reason.INTERNAL, "Internal error.")


def to_status(error: CarillonError) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo always, BadRequest where fields are at fault (AIP-193).

    At most MAX_VIOLATIONS fields are named: who mends those hears of the next.
    """
    status = status_pb2.Status(code=error.status.value[0], message=error.detail)
    info = error_details_pb2.ErrorInfo(reason=error.reason.upper(), domain=DOMAIN, metadata=error.metadata)
    status.details.add().Pack(info)
    if error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in error.violations[:MAX_VIOLATIONS]:
            bad.field_violations.add(
                field=violation.pointer[:MAX_DETAIL_CHARACTERS],
                reason=violation.code.upper(),
                description=violation.detail[:MAX_DETAIL_CHARACTERS],
            )
        status.details.add().Pack(bad)
    return status


def from_status(status: status_pb2.Status) -> CarillonError:
    """The error that a status was made of. A status of a foreign kind becomes Internal."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        # Unpack answers whether the detail was of that type.
        _ = detail.Unpack(info) or detail.Unpack(bad)
    kind = BY_STATUS.get(BY_NUMBER.get(status.code, grpc.StatusCode.UNKNOWN))
    if kind is None or info.domain != DOMAIN:
        return Internal(Reason.INTERNAL, f"Unexpected status {code_pb2.Code.Name(status.code)}.")
    violations = [Violation(v.field, v.reason.lower(), v.description) for v in bad.field_violations]
    return kind(info.reason.lower(), status.message, metadata=info.metadata, violations=violations)


def from_bytes(status: bytes) -> CarillonError:
    """As from_status, of one that was serialised."""
    return from_status(status_pb2.Status.FromString(status))


def from_rpc_error(error: grpc.aio.AioRpcError) -> CarillonError:
    """The error behind a failed call."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return from_bytes(bytes(value))  # type: ignore[arg-type]
    kind, reason, detail = UNDETAILED.get(error.code(), NOT_OURS)
    return kind(reason, detail)
