"""Between exports and the wire."""

from carillon.contacts.v1 import exports_pb2 as pb
from chassis import ids
from services.contacts.convert import timestamp
from services.contacts.exports.record import Export, Format, Resource

RESOURCES: dict[pb.ExportResource.ValueType, Resource] = {
    pb.EXPORT_RESOURCE_CONTACTS: "contacts",
    pb.EXPORT_RESOURCE_OPTOUTS: "optouts",
    pb.EXPORT_RESOURCE_SEGMENT_MEMBERS: "segment_members",
    pb.EXPORT_RESOURCE_RECIPIENTS: "recipients",
}
FORMATS: dict[pb.ExportFormat.ValueType, Format] = {
    pb.EXPORT_FORMAT_CSV: "csv",
    pb.EXPORT_FORMAT_JSONL: "jsonl",
    pb.EXPORT_FORMAT_XLSX: "xlsx",
    pb.EXPORT_FORMAT_VCF: "vcf",
}
STATUSES: dict[str, pb.ExportStatus.ValueType] = {
    "queued": pb.EXPORT_STATUS_QUEUED,
    "running": pb.EXPORT_STATUS_RUNNING,
    "completed": pb.EXPORT_STATUS_COMPLETED,
    "failed": pb.EXPORT_STATUS_FAILED,
}
RESOURCE_NUMBERS = {resource: number for number, resource in RESOURCES.items()}
FORMAT_NUMBERS = {format_: number for number, format_ in FORMATS.items()}


def export(row: Export) -> pb.Export:
    return pb.Export(
        id=ids.encode("exp", row.id),
        resource=RESOURCE_NUMBERS[row.resource],
        format=FORMAT_NUMBERS[row.format],
        status=STATUSES[row.status],
        rows=row.rows,
        bytes=row.bytes,
        error=row.error,
        created_at=timestamp(row.created_at),
        finished_at=None if row.finished_at is None else timestamp(row.finished_at),
        expires_at=None if row.expires_at is None else timestamp(row.expires_at),
    )
