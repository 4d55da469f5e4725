"""Results of a batch on the wire."""

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from services.contacts import errors
from services.contacts.batch.resolve import Refusal, Result

OUTCOMES: dict[str, pb.BatchOutcome.ValueType] = {
    "created": pb.BATCH_OUTCOME_CREATED,
    "updated": pb.BATCH_OUTCOME_UPDATED,
    "unchanged": pb.BATCH_OUTCOME_UNCHANGED,
}


def result_message(result: Result | Refusal) -> pb.BatchResult:
    if isinstance(result, Refusal):
        return pb.BatchResult(outcome=pb.BATCH_OUTCOME_FAILED, error=error(result))
    contact = result.slot.after
    assert contact is not None
    return pb.BatchResult(
        outcome=OUTCOMES[result.outcome], contact_id=ids.encode("cnt", contact.id), version=contact.version
    )


def error(refusal: Refusal) -> pb.BatchError:
    refused = errors.invalid(refusal.problems)
    return pb.BatchError(
        code=refused.reason,
        detail=refused.detail,
        violations=[
            pb.BatchViolation(pointer=one.pointer, code=one.code, detail=one.detail) for one in refused.violations
        ],
        existing_ids=[ids.encode("cnt", one) for one in refusal.existing],
    )
