"""Segments, their rules and their members."""

from typing import Any

import orjson

from carillon.segments.v1 import segments_pb2 as pb
from chassis.errors import InvalidArgument, Reason, Violation
from services.gateway.convert.contacts import contact
from services.gateway.convert.values import Names, json_object, moment, moment_or_none
from services.gateway.problem import FieldCode
from services.gateway.schemas.rules import MAX_RULE_BYTES, PARTS, Definition

STATUSES = Names(pb.SegmentStatus, "SEGMENT_STATUS_", unspecified="building")


def rule_json(body: Definition) -> str:
    """`conditions` and `rules`, of those that were sent, as written. Raises InvalidArgument: too long, too deep."""
    parts = {name: getattr(body, name) for name in PARTS if name in body.model_fields_set}
    try:
        text = orjson.dumps(parts)
    except orjson.JSONEncodeError:
        # All of it came out of JSON; only depth can be in the way back.
        raise refused(parts, FieldCode.OUT_OF_RANGE, "The rule is nested too deeply.") from None
    if len(text) > MAX_RULE_BYTES:
        raise refused(parts, FieldCode.TOO_LONG, f"The rule is longer than {MAX_RULE_BYTES:,} bytes.")
    return text.decode()


def refused(parts: dict[str, Any], code: str, detail: str) -> InvalidArgument:
    violations = [Violation(f"/{name}", code, detail) for name in parts]
    return InvalidArgument(Reason.VALIDATION_FAILED, detail, violations=violations)


def segment(source: pb.Segment) -> dict[str, Any]:
    return {
        "id": source.id,
        "name": source.name,
        **json_object(source.rule_json),
        "status": STATUSES.text(source.status),
        "progress": source.progress if source.HasField("progress") else None,
        "member_count": source.member_count,
        "as_of": moment(source.as_of),
        "version": source.version,
        "created_at": moment(source.created_at),
        "updated_at": moment(source.updated_at),
    }


def member(source: pb.Member) -> dict[str, Any]:
    return {"contact": contact(source.contact), "joined_at": moment(source.joined_at)}


def preview(source: pb.PreviewSegmentResponse) -> dict[str, Any]:
    return {
        "count": source.count,
        "estimate": source.estimate,
        "sample": [contact(one) for one in source.sample],
    }


def explanation(request: pb.ExplainMembershipRequest, source: pb.ExplainMembershipResponse) -> dict[str, Any]:
    return {
        "segment_id": request.segment_id,
        "contact_id": request.contact_id,
        "member": source.member,
        "joined_at": moment_or_none(source, "joined_at"),
        "matches": source.matches,
        "as_of": moment(source.as_of),
        "flips_at": moment_or_none(source, "flips_at"),
        "conditions": [leaf(one) for one in source.leaves],
    }


def leaf(source: pb.LeafExplanation) -> dict[str, Any]:
    return {
        "pointer": source.pointer,
        "field": source.field,
        "operator": source.operator,
        "value": orjson.Fragment(source.value_json or "null"),
        "passed": source.passed,
        "seen": orjson.Fragment(source.seen_json or "null"),
        "flips_at": moment_or_none(source, "flips_at"),
    }
