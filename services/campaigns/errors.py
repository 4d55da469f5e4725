"""How the campaigns service refuses, in its own words."""

from chassis.errors import (
    Aborted,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    Unauthenticated,
    Unavailable,
    Violation,
)
from services.campaigns.domain.campaign import InvalidState


def not_found(noun: str, public_id: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"No {noun} has the id {public_id!r}.")


def invalid(pointer: str, detail: str, *, code: str = Reason.VALIDATION_FAILED) -> InvalidArgument:
    """One field is refused."""
    return InvalidArgument(Reason.VALIDATION_FAILED, detail, violations=[Violation(pointer, code, detail)])


def unknown_reference(pointer: str, noun: str, public_id: str) -> InvalidArgument:
    return invalid(pointer, f"No {noun} has the id {public_id!r}.", code=Reason.NOT_FOUND)


def invalid_template(pointer: str, detail: str, *, line: int) -> InvalidArgument:
    sentence = f"Line {line}: {detail}"
    return InvalidArgument(
        Reason.INVALID_TEMPLATE,
        sentence,
        metadata={"line": str(line)},
        violations=[Violation(pointer, Reason.INVALID_TEMPLATE, sentence)],
    )


def invalid_state(error: InvalidState) -> FailedPrecondition:
    return FailedPrecondition(
        Reason.INVALID_STATE,
        f"A campaign that is {error.status} does not take '{error.verb}'.",
        metadata={"status": error.status.value},
    )


def version_mismatch(version: int) -> Aborted:
    return Aborted(
        Reason.VERSION_MISMATCH,
        f"The version is {version} by now; read again, then repeat the change.",
        metadata={"version": str(version)},
    )


def in_use(noun: str) -> FailedPrecondition:
    return FailedPrecondition(
        Reason.RESOURCE_IN_USE, f"A draft, running or paused campaign uses the {noun}; delete or cancel it first."
    )


def sender_required(channel: str) -> FailedPrecondition:
    return FailedPrecondition(Reason.SENDER_REQUIRED, f"Name a sender: the account has no default one for {channel}.")


def audience_conflict(detail: str) -> FailedPrecondition:
    return FailedPrecondition(Reason.AUDIENCE_CONFLICT, detail)


def audience_missing() -> FailedPrecondition:
    return FailedPrecondition(
        Reason.AUDIENCE_MISSING,
        "The campaign has nobody to send to: name a segment, a list or contacts, or upload recipients.",
    )


def audience_gone() -> FailedPrecondition:
    return FailedPrecondition(
        Reason.AUDIENCE_MISSING, "The segment or list that the campaign is for, or excludes, was deleted."
    )


def live_campaign() -> PermissionDenied:
    return PermissionDenied(
        Reason.PERMISSION_DENIED, "The campaign reaches people; a test key reads it, copies it and tests it only."
    )


def not_the_senders_token() -> Unauthenticated:
    return Unauthenticated(Reason.UNAUTHENTICATED, "The token in the path is not the sender's.")


def not_signed(header: str) -> Unauthenticated:
    return Unauthenticated(Reason.UNAUTHENTICATED, f"{header} is missing, or does not sign this request.")


def not_heard_yet() -> Unavailable:
    """An opt-out that is stored and that contacts does not know yet."""
    return Unavailable(
        Reason.UNAVAILABLE,
        "The message is stored; its opt-out or opt-in takes effect when contacts answers again.",
        metadata={"retry_after": "5"},
    )
