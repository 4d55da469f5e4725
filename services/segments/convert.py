"""Between the domain and the wire."""

from collections.abc import Iterable

from carillon.contacts.v1 import contacts_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from services.segments.builds import State
from services.segments.domain.rules import Condition
from services.segments.repository import Segment

STATUS = {
    None: pb.SEGMENT_STATUS_READY,
    State.BUILDING: pb.SEGMENT_STATUS_BUILDING,
    State.FAILED: pb.SEGMENT_STATUS_FAILED,
}


def segment(found: Segment) -> pb.Segment:
    message = pb.Segment(
        id=ids.encode("seg", found.id),
        name=found.name,
        conditions=[condition(one) for one in found.conditions],
        status=STATUS[found.next_state],
        member_count=found.members,
        version=found.version,
    )
    message.as_of.FromDatetime(found.as_of)
    message.created_at.FromDatetime(found.created_at)
    message.updated_at.FromDatetime(found.updated_at)
    return message


def condition(written: Condition) -> pb.Condition:
    return pb.Condition(
        field=written.field, operator=written.operator, values=written.values, value_is_array=written.is_array
    )


def conditions(messages: Iterable[pb.Condition]) -> list[Condition]:
    return [Condition(m.field, m.operator, tuple(m.values), m.value_is_array) for m in messages]


def contact(snapshot: bytes) -> contacts_pb2.Contact:
    return contacts_pb2.Contact.FromString(snapshot)
