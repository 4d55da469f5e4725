"""Bulk changes on the wire."""

from collections.abc import Sequence

from carillon.contacts.v1 import bulk_pb2 as pb
from chassis import ids
from services.contacts.bulk.record import BulkJob
from services.contacts.bulk.writing import Written
from services.contacts.convert import timestamp
from services.contacts.lists.convert import failure

STATUSES: dict[str, pb.BulkStatus.ValueType] = {
    "queued": pb.BULK_STATUS_QUEUED,
    "running": pb.BULK_STATUS_RUNNING,
    "completed": pb.BULK_STATUS_COMPLETED,
    "failed": pb.BULK_STATUS_FAILED,
}


def outcome(written: Written, *, not_found: Sequence[str] = ()) -> pb.BulkOutcome:
    return pb.BulkOutcome(
        changed=len(written.changed),
        unchanged=written.unchanged,
        not_found=not_found,
        failed=[failure(*one) for one in written.failed],
    )


def job_message(row: BulkJob) -> pb.BulkJob:
    return pb.BulkJob(
        id=ids.encode("job", row.id),
        status=STATUSES[row.status],
        changed=row.changed,
        unchanged=row.unchanged,
        failed=row.failed,
        error=row.error,
        created_at=timestamp(row.created_at),
        finished_at=timestamp(row.finished_at) if row.finished_at is not None else None,
    )
