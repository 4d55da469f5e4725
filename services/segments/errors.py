"""How this service refuses."""

from collections.abc import Sequence

from chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, Reason, Unavailable, Violation
from services.segments.domain.faults import Fault

# Segments that an error names.
MAX_TOLD = 20


def segment_not_found(public_id: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"No segment has the id {public_id}.")


def invalid_rule(faults: Sequence[Fault]) -> InvalidArgument:
    return InvalidArgument(
        Reason.INVALID_RULE,
        "The segment's conditions cannot be evaluated.",
        violations=[Violation(fault.pointer, Reason.INVALID_RULE, fault.detail) for fault in faults],
    )


def contact_not_found(public_id: str) -> NotFound:
    return NotFound(Reason.NOT_FOUND, f"No contact has the id {public_id}.")


def segment_in_use(by: Sequence[str]) -> FailedPrecondition:
    """by: ids of the segments whose rules name it, at least one."""
    return FailedPrecondition(
        Reason.SEGMENT_IN_USE,
        f"The rule of {by[0]} names this segment; change it first.",
        metadata={"used_by": ",".join(by[:MAX_TOLD])},
    )


def invalid_name(detail: str) -> InvalidArgument:
    violation = Violation("/name", Reason.VALIDATION_FAILED, detail)
    return InvalidArgument(Reason.VALIDATION_FAILED, detail, violations=[violation])


def version_mismatch(current: int) -> Aborted:
    return Aborted(Reason.VERSION_MISMATCH, f"The segment is at version {current}.", metadata={"version": str(current)})


def invalid_cursor() -> InvalidArgument:
    return InvalidArgument(Reason.INVALID_CURSOR, "The cursor was not issued for this request; begin without one.")


def still_building(public_id: str) -> Unavailable:
    return Unavailable(Reason.UNAVAILABLE, f"The segment {public_id} is still being built; try again in a moment.")


def build_failed(public_id: str) -> FailedPrecondition:
    return FailedPrecondition(
        Reason.INVALID_STATE, f"The segment {public_id} could not be built.", metadata={"status": "failed"}
    )
