"""Between the domain and the wire."""

import json

import orjson

from carillon.contacts.v1 import contacts_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from services.segments import contact_facts
from services.segments.builds import State
from services.segments.explanations import Explained
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
        status=STATUS[found.next_state],
        member_count=found.members,
        version=found.version,
        rule_json=found.definition,
    )
    if found.next_state is State.BUILDING:
        message.progress = progress(found)
    message.as_of.FromDatetime(found.as_of)
    message.created_at.FromDatetime(found.created_at)
    message.updated_at.FromDatetime(found.updated_at)
    return message


def progress(found: Segment) -> float:
    """Below 1 until it is served: how many there are to look at is a reckoning."""
    return min(found.looked_at / found.to_look_at, 0.99) if found.to_look_at else 0.0


def contact(snapshot: bytes) -> contacts_pb2.Contact:
    return contacts_pb2.Contact.FromString(snapshot)


def explained(one: Explained) -> pb.LeafExplanation:
    message = pb.LeafExplanation(
        pointer=one.leaf.pointer,
        field=one.leaf.field.name,
        operator=one.written["operator"],
        passed=one.passed,
        # Custom data may have integers beyond 64 bits, which orjson refuses.
        seen_json=json.dumps(one.seen, ensure_ascii=False),
    )
    if "value" in one.written:
        message.value_json = orjson.dumps(one.written["value"]).decode()
    if one.flips_at is not None:
        message.flips_at.FromDatetime(contact_facts.time_of(one.flips_at))
    return message
