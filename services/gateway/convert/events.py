"""Events as JSON: what a webhook carries and the feed answers. The same as NATS carries, by the same ids.

The data is the protobuf message in its JSON mapping with the proto's field names: bytes as base64, times in RFC 3339,
enums by name. Other than there, int64 are numbers: revisions are for comparing, and "10" is less than "9".
Fields without a value are there too, but for those that can be absent.
"""

from base64 import b64encode
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from carillon.events.v1 import events_pb2 as pb
from services.gateway.convert.values import moment

MESSAGES: dict[str, type[Message]] = {
    "contact.created": pb.ContactsChanged,
    "contact.updated": pb.ContactsChanged,
    "contact.deleted": pb.ContactsDeleted,
    "list.created": pb.ListChanged,
    "list.updated": pb.ListChanged,
    "list.deleted": pb.ListDeleted,
    "suppression.created": pb.SuppressionsChanged,
    "suppression.updated": pb.SuppressionsChanged,
    "suppression.deleted": pb.SuppressionsChanged,
    "import.completed": pb.ImportCompleted,
    "segment.created": pb.SegmentChanged,
    "segment.updated": pb.SegmentChanged,
    "segment.deleted": pb.SegmentChanged,
    "segment.members_changed": pb.SegmentMembersChanged,
    **{
        f"campaign.{verb}": pb.CampaignChanged
        for verb in ("created", "updated", "deleted", "started", "paused", "resumed", "completed", "cancelled")
    },
    "message.sent": pb.MessagesChanged,
    "message.delivered": pb.MessagesChanged,
    "message.failed": pb.MessagesChanged,
    "account.created": pb.AccountChanged,
}

# What an event tells of, as (name, revision); 0 where it has no revision. Names are unique over all kinds.
Named = Iterable[tuple[str, int]]
OBJECTS: dict[type[Message], Callable[[Any], Named]] = {
    pb.ContactsChanged: lambda one: ((change.contact.id, change.contact.version) for change in one.changes),
    pb.ContactsDeleted: lambda one: ((deletion.id, deletion.version) for deletion in one.deletions),
    pb.ListChanged: lambda one: [(one.list.id, one.list.version)],
    pb.ListDeleted: lambda one: [(one.id, one.version)],
    pb.SuppressionsChanged: lambda one: ((suppression.id, 0) for suppression in one.suppressions),
    pb.ImportCompleted: lambda one: [(getattr(one, "import").id, 0)],
    pb.SegmentChanged: lambda one: [(one.segment.id, one.segment.version)],
    pb.SegmentMembersChanged: lambda one: (
        (f"{steps.segment_id}/{step.contact_id}", step.membership_revision)
        for steps in one.segments
        for step in (*steps.joined, *steps.left)
    ),
    pb.CampaignChanged: lambda one: [(one.campaign.id, one.campaign.version)],
    pb.MessagesChanged: lambda one: ((line.id, line.state_revision) for line in one.recipients),
    pb.AccountChanged: lambda one: [(one.account.id, 0)],
}


def parse(event_type: str, data: bytes) -> Message | None:
    """None for a type that this build does not know, or data that is not of its message."""
    message = MESSAGES.get(event_type)
    try:
        return None if message is None else message.FromString(data)
    except DecodeError:
        return None


def objects(event_type: str, data: bytes) -> dict[int, int]:
    """The objects that the event tells of, by a hash of their name, with the revision that each has there."""
    message = parse(event_type, data)
    if message is None:
        return {}
    return {hashed(name): revision for name, revision in OBJECTS[type(message)](message)}


def hashed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big", signed=True)


def envelope(*, event_id: str, event_type: str, time: datetime, position: int | None, data: bytes) -> dict[str, Any]:
    """As Standard Webhooks has it. position: in the feed; None of what is not there.

    The data of a type that a newer part of the system tells and this build does not know is null, and its bytes are
    in `data_base64`.
    """
    message = parse(event_type, data)
    stamp = time.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    body = envelope_of(message, event_id=event_id, event_type=event_type, time=stamp, position=position)
    return body if message is not None else body | {"data_base64": b64encode(data).decode()}


def envelope_of(
    message: Message | None, *, event_id: str, event_type: str, time: str, position: int | None
) -> dict[str, Any]:
    return {
        "id": event_id,
        "type": event_type,
        "timestamp": time,
        "position": position,
        "data": None if message is None else plain(message),
    }


def plain(message: Message) -> Any:
    """The message as JSON has it."""
    if isinstance(message, Timestamp):
        return moment(message)
    found: dict[str, Any] = {}
    for field, read in fields(message):
        value = getattr(message, field.name)
        if field.has_presence:
            if message.HasField(field.name):
                found[field.name] = read(value)
        elif field.is_repeated and is_map(field):
            found[field.name] = {str(key): value_reader(field)(value[key]) for key in value}
        elif field.is_repeated:
            found[field.name] = [read(one) for one in value]
        else:
            found[field.name] = read(value)
    return found


Reader = Callable[[Any], Any]
FIELDS: dict[str, list[tuple[FieldDescriptor, Reader]]] = {}


def fields(message: Message) -> list[tuple[FieldDescriptor, Reader]]:
    """With how each is read; looked up once for each kind of message."""
    name = message.DESCRIPTOR.full_name
    if name not in FIELDS:
        described = cast(list[FieldDescriptor], list(message.DESCRIPTOR.fields))
        FIELDS[name] = [(field, reader(field)) for field in described]
    return FIELDS[name]


def reader(field: FieldDescriptor) -> Reader:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return plain
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    if field.type == FieldDescriptor.TYPE_ENUM:
        kind = cast(EnumDescriptor, field.enum_type)
        names = {number: one.name for number, one in kind.values_by_number.items()}
        return lambda value: names.get(value, value)
    return lambda value: value


def is_map(field: FieldDescriptor) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def value_reader(field: FieldDescriptor) -> Reader:
    kind = cast(Descriptor, field.message_type)
    return reader(kind.fields_by_name["value"])
