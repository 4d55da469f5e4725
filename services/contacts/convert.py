"""Between the domain and the wire, field by field; no rules here."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from services.contacts.domain.contact import Contact
from services.contacts.domain.messaging import Refusal
from services.contacts.imports.plan import OnDuplicate
from services.contacts.imports.record import Change, Import, RowError
from services.contacts.suppressions.record import Suppression

VALIDITIES: dict[str, pb.Validity.ValueType] = {
    "valid": pb.VALIDITY_VALID,
    "invalid": pb.VALIDITY_INVALID,
    "unknown": pb.VALIDITY_UNSPECIFIED,
}
PREFERENCES: dict[str, pb.Preference.ValueType] = {
    "opted_in": pb.PREFERENCE_OPTED_IN,
    "opted_out": pb.PREFERENCE_OPTED_OUT,
    "unknown": pb.PREFERENCE_UNSPECIFIED,
}
REFUSALS: dict[Refusal | None, pb.Refusal.ValueType] = {
    None: pb.REFUSAL_UNSPECIFIED,
    "do_not_disturb": pb.REFUSAL_DO_NOT_DISTURB,
    "opted_out": pb.REFUSAL_OPTED_OUT,
    "suppressed": pb.REFUSAL_SUPPRESSED,
    "address_gone": pb.REFUSAL_ADDRESS_GONE,
    "invalid_address": pb.REFUSAL_INVALID_ADDRESS,
}
IMPORT_STATUSES: dict[str, pb.ImportStatus.ValueType] = {
    "queued": pb.IMPORT_STATUS_QUEUED,
    "running": pb.IMPORT_STATUS_RUNNING,
    "completed": pb.IMPORT_STATUS_COMPLETED,
    "failed": pb.IMPORT_STATUS_FAILED,
    "uploaded": pb.IMPORT_STATUS_UPLOADED,
    "cancelled": pb.IMPORT_STATUS_CANCELLED,
    "undoing": pb.IMPORT_STATUS_UNDOING,
    "undone": pb.IMPORT_STATUS_UNDONE,
}
CHANNEL_NAMES: dict[pb.Channel.ValueType, str] = {
    number: name.removeprefix("CHANNEL_").lower() for name, number in pb.Channel.items() if number
}
CHANNELS: dict[str, pb.Channel.ValueType] = {name: number for number, name in CHANNEL_NAMES.items()}
ON_DUPLICATE: dict[pb.OnDuplicate.ValueType, OnDuplicate] = {
    pb.ON_DUPLICATE_UNSPECIFIED: "skip",
    pb.ON_DUPLICATE_SKIP: "skip",
    pb.ON_DUPLICATE_UPDATE: "update",
    pb.ON_DUPLICATE_MERGE: "merge",
}


@lru_cache(maxsize=256)
def timestamp(time: datetime) -> Timestamp:
    """Shared between callers, who put it into messages and do not change it."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def contact(row: Contact) -> pb.Contact:
    """The full snapshot, as answers carry it; `snapshot.py` writes the same for events."""
    return pb.Contact(
        id=ids.encode("cnt", row.id),
        phone=row.phone,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        name=row.name,
        country=row.country,
        stage=row.stage,
        gender=row.gender,
        language=row.language,
        timezone=row.timezone,
        tags=row.tags,
        metadata_json=row.metadata,
        external_id=row.external_id,
        instagram_id=row.instagram_id,
        channel=row.channel,
        custom_channel=row.custom_channel,
        chat_widget_id=row.chat_widget_id,
        current_campaign=row.current_campaign,
        current_campaign_data_json=row.current_campaign_data,
        is_chat_window_open=row.is_chat_window_open,
        is_bot_active=row.is_bot_active,
        do_not_disturb=row.do_not_disturb,
        preferences=preferences(row.preferences),
        channels=row.channels,
        phone_validity=VALIDITIES[row.phone_validity],
        email_validity=VALIDITIES[row.email_validity],
        lists=[ids.encode("lst", list_id) for list_id in row.list_ids],
        version=row.version,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
    )


def preferences(stored: str) -> Mapping[str, pb.Preference.ValueType] | None:
    # An empty map given to protobuf costs more than all other fields together.
    if stored == "{}":
        return None
    return {channel: PREFERENCES[said] for channel, said in json.loads(stored).items()}


def raw_patch(patch: pb.ContactPatch) -> dict[str, object]:
    """The fields that are present, for intake.read_patch; `clear` aside."""
    return {
        field.name: list(value.values) if field.name == "tags" else value
        for field, value in patch.ListFields()
        if field.name != "clear"
    }


def suppression(row: Suppression) -> pb.Suppression:
    return pb.Suppression(
        id=ids.encode("sup", row.id),
        phone=row.phone,
        email=row.email,
        channels=[CHANNELS[channel] for channel in row.channels],
        reason=row.reason,
        created_at=timestamp(row.created_at),
    )


def import_job(row: Import) -> pb.Import:
    return pb.Import(
        id=ids.encode("imp", row.id),
        status=IMPORT_STATUSES[row.status],
        bytes_total=row.bytes_total,
        bytes_done=row.bytes_done,
        rows=row.rows,
        imported=row.imported,
        updated=row.updated,
        duplicates=row.duplicates,
        failed=row.failed,
        errors=map(row_error, row.errors),
        error=row.error,
        created_at=timestamp(row.created_at),
        finished_at=timestamp(row.finished_at) if row.finished_at is not None else None,
        file_name=row.file_name,
        rows_total=row.rows_total,
        dry_run=row.dry_run,
        undo_deleted=row.undo_deleted,
        undo_kept=row.undo_kept,
        duplicate_of="" if row.duplicate_of is None else ids.encode("imp", row.duplicate_of),
    )


def import_change(change: Change) -> pb.ImportChange:
    return pb.ImportChange(
        contact_id=change.contact_id, before_json=json.dumps(change.before), after_json=json.dumps(change.after)
    )


def row_error(fault: RowError) -> pb.RowError:
    return pb.RowError(row=fault.row, code=fault.code, reason=fault.reason, column=fault.column)
