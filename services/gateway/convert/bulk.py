"""One change to many contacts, and the job that it may become."""

from typing import Any

from carillon.contacts.v1 import bulk_pb2 as pb
from services.gateway.convert.contact_filters import of_body
from services.gateway.convert.lists import failures
from services.gateway.convert.values import Names, moment, moment_or_none
from services.gateway.schemas.bulk import BulkTarget

STATUSES = Names(pb.BulkStatus, "BULK_STATUS_", unspecified="queued")


def target(body: BulkTarget) -> dict[str, Any]:
    """The part of a BulkChangeContactsRequest that says whom; of a body that names one of the two."""
    if body.contact_ids is not None:
        return {"ids": pb.ContactIds(values=body.contact_ids)}
    assert body.filter is not None
    return {"filter": of_body(body.filter)}


def outcome(source: pb.BulkOutcome) -> dict[str, Any]:
    return {
        "changed": source.changed,
        "unchanged": source.unchanged,
        "failed": len(source.failed),
        "not_found": list(source.not_found),
        "errors": failures(source.failed),
    }


def job(source: pb.BulkJob) -> dict[str, Any]:
    return {
        "id": source.id,
        "status": STATUSES.text(source.status),
        "progress": {"contacts_done": source.changed + source.unchanged + source.failed},
        "changed": source.changed,
        "unchanged": source.unchanged,
        "failed": source.failed,
        "error": source.error or None,
        "created_at": moment(source.created_at),
        "finished_at": moment_or_none(source, "finished_at"),
    }
