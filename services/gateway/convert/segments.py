"""Segments and their members."""

from typing import Any

from carillon.segments.v1 import segments_pb2 as pb
from services.gateway.convert.contacts import contact
from services.gateway.convert.values import Names, moment
from services.gateway.schemas.segments import Condition

STATUSES = Names(pb.SegmentStatus, "SEGMENT_STATUS_", unspecified="building")


def condition(body: Condition) -> pb.Condition:
    several = isinstance(body.value, list)
    values = body.value if isinstance(body.value, list) else [body.value]
    return pb.Condition(
        field=body.field, operator=body.operator, values=[str(value) for value in values], value_is_array=several
    )


def segment(source: pb.Segment) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        "conditions": [
            {
                "field": one.field,
                "operator": one.operator,
                "value": list(one.values) if one.value_is_array else "".join(one.values),
            }
            for one in source.conditions
        ],
        "status": STATUSES.text(source.status),
        "member_count": source.member_count,
        "as_of": moment(source.as_of),
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def member(source: pb.Member) -> dict[str, Any]:
    return {"contact": contact(source.contact), "joined_at": moment(source.joined_at)}
