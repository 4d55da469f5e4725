"""Exports."""

from typing import Any

from carillon.contacts.v1 import exports_pb2 as pb
from services.gateway.convert.contact_filters import of_body
from services.gateway.convert.values import CHANNELS, Names, moment, moment_or_none
from services.gateway.schemas.contact_filters import ContactFilter
from services.gateway.schemas.exports import ExportCreate

RESOURCES = Names(pb.ExportResource, "EXPORT_RESOURCE_", unspecified="contacts")
FORMATS = Names(pb.ExportFormat, "EXPORT_FORMAT_", unspecified="csv")
STATUSES = Names(pb.ExportStatus, "EXPORT_STATUS_", unspecified="queued")


def request(body: ExportCreate) -> pb.CreateExportRequest:
    """Raises InvalidArgument."""
    narrowed = body.filter
    of_contacts = ContactFilter.model_validate(narrowed.model_dump(exclude_unset=True, exclude={"status"}))
    channel = None
    if body.resource == "optouts":
        # What a contact is reached on says nothing of what it opted out of.
        channel, of_contacts.channel = of_contacts.channel, None
    return pb.CreateExportRequest(
        resource=RESOURCES.value(body.resource),
        format=FORMATS.value(body.format),
        contacts=of_body(of_contacts),
        channel=CHANNELS.value(channel),
        segment_id=body.segment_id or "",
        campaign_id=body.campaign_id or "",
        recipient_status=narrowed.status or "",
    )


def export(source: pb.Export, *, prefix: str) -> dict[str, Any]:
    """prefix: what the caller's paths begin with."""
    completed = source.status == pb.EXPORT_STATUS_COMPLETED
    return {
        "id": source.id,
        "resource": RESOURCES.text(source.resource),
        "format": FORMATS.text(source.format),
        "status": STATUSES.text(source.status),
        "progress": {"rows": source.rows, "bytes": source.bytes},
        "error": source.error or None,
        "created_at": moment(source.created_at),
        "finished_at": moment_or_none(source, "finished_at"),
        "expires_at": moment_or_none(source, "expires_at"),
        "download_path": f"{prefix}/exports/{source.id}/download" if completed else None,
    }
