"""Segments: rules travel as they were written, and their faults point into the request."""

from typing import Any

import orjson
import pytest

from carillon.contacts.v1 import contacts_pb2
from carillon.segments.v1 import segments_pb2 as pb
from chassis import ids
from chassis.errors import InvalidArgument, NotFound, Reason, Violation
from services.gateway import service
from services.gateway.schemas.rules import MAX_RULE_BYTES
from tests.service.gateway.conftest import Gateway

CNT, SEG = ids.encode("cnt", ids.new()), ids.encode("seg", ids.new())
CONDITION = {"field": "tags", "operator": "contains", "value": "premium"}
SEATS = {"field": "metadata.plan.seats", "operator": "between", "value": [10, 99.5]}
DEFINITIONS: dict[str, dict[str, Any]] = {
    "conditions": {"conditions": [CONDITION, {"field": "name", "operator": "equals", "value": ["A"]}]},
    "every type": {
        "conditions": [
            {"field": "metadata.a", "operator": "equals", "value": value}
            for value in ("ß", "", 7, -0.5, 2**53, True, False, None, [], ["a", 1, False], {"any": "thing"})
        ]
    },
    "no value": {"conditions": [{"field": "email", "operator": "exists"}]},
    "no conditions": {"conditions": []},
    "no condition": {"conditions": [5, None, "tags"]},
    "rules": {"rules": {"any": [SEATS, {"all": [CONDITION, {"not": CONDITION}]}], "not": SEATS}},
    "a leaf": {"rules": CONDITION},
    "no rule": {"rules": {}},
    "deep": {"rules": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": {"not": CONDITION}}}}}}}}}},
    "both": {"conditions": [CONDITION], "rules": CONDITION},
    "neither": {},
}
PATHS = ("/v1/segments", "/v1/contacts/segments", "/api/v1/segments")


def segment(rule: object = None, **fields: Any) -> pb.Segment:
    found = pb.Segment(id=SEG, name="Premium", member_count=2, version=1, **fields)
    found.status = found.status or pb.SEGMENT_STATUS_READY
    found.rule_json = orjson.dumps(rule or {"conditions": [CONDITION]}).decode()
    return found


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", DEFINITIONS)
async def test_a_rule_travels_and_reads_back_as_it_was_written(gateway: Gateway, path: str, name: str) -> None:
    def keep(request: pb.CreateSegmentRequest) -> pb.CreateSegmentResponse:
        return pb.CreateSegmentResponse(segment=segment(orjson.loads(request.rule_json)))

    gateway.segments.answers["CreateSegment"] = keep
    answer = await gateway.call("POST", path, json={"name": "Premium", **DEFINITIONS[name]})
    assert answer.status == 201
    request = gateway.segments.last("CreateSegment").request
    assert request.name == "Premium"
    assert orjson.loads(request.rule_json) == DEFINITIONS[name]
    if name != "neither":
        assert {part: answer.body[part] for part in ("conditions", "rules") if part in answer.body} == DEFINITIONS[name]


@pytest.mark.parametrize("path", PATHS)
async def test_a_segment_has_its_rule_its_state_and_its_count(gateway: Gateway, path: str) -> None:
    building = segment(DEFINITIONS["rules"], status=pb.SEGMENT_STATUS_BUILDING, progress=0.25)
    building.as_of.FromJsonString("2026-03-01T09:05:00Z")
    gateway.segments.answers["GetSegment"] = pb.GetSegmentResponse(segment=building)
    answer = await gateway.call("GET", f"{path}/{SEG}")
    assert answer.body == {
        "id": SEG, "name": "Premium", **DEFINITIONS["rules"], "status": "building", "progress": 0.25, "member_count": 2,
        "as_of": "2026-03-01T09:05:00Z", "version": 1,
        "created_at": "1970-01-01T00:00:00Z", "updated_at": "1970-01-01T00:00:00Z",
    }  # fmt: skip
    gateway.segments.answers["ListSegments"] = pb.ListSegmentsResponse(segments=[segment()])
    (listed,) = (await gateway.call("GET", path)).body["data"]
    assert (listed["conditions"], listed["status"], listed["progress"]) == ([CONDITION], "ready", None)
    assert "rules" not in listed


@pytest.mark.parametrize(
    ("part", "pointer", "code"),
    [
        ({"conditions": {"0": CONDITION}}, "/conditions", "wrong_type"),
        ({"conditions": None}, "/conditions", "wrong_type"),
        ({"conditions": "tags"}, "/conditions", "wrong_type"),
        ({"rules": [CONDITION]}, "/rules", "wrong_type"),
        ({"rules": None, "conditions": [CONDITION]}, "/rules", "wrong_type"),
        ({"condition": [CONDITION]}, "/condition", "unknown_field"),
        ({"conditions": [{**CONDITION, "value": "x" * MAX_RULE_BYTES}]}, "/conditions", "too_long"),
        ({"rules": {**CONDITION, "value": ["x" * 1000] * 300}}, "/rules", "too_long"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
@pytest.mark.parametrize("call", ["create", "update", "patch", "preview"])
async def test_what_cannot_be_a_rule_is_refused(
    gateway: Gateway, call: str, part: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await gateway.call(*CALLS[call], json={**NAMES[call], **part})
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert [(error["pointer"], error["code"]) for error in answer.body["errors"]] == [(pointer, code)]
    assert gateway.segments.received == []


CALLS = {
    "create": ("POST", "/v1/segments"),
    "update": ("PUT", f"/v1/segments/{SEG}"),
    "patch": ("PATCH", f"/v1/segments/{SEG}"),
    "preview": ("POST", "/v1/segments/preview"),
}
NAMES: dict[str, dict[str, Any]] = {"create": {"name": "x"}, "update": {}, "patch": {}, "preview": {}}


@pytest.mark.parametrize(("levels", "status"), [(60, 201), (300, 422), (2000, 400)])
async def test_depth_ends_nowhere_but_in_an_answer(gateway: Gateway, levels: int, status: int) -> None:
    """What is a little too deep is the service's to point at."""
    rule = '{"not":' * levels + "{}" + "}" * levels
    headers = {"Content-Type": "application/json"}
    body = f'{{"name": "x", "rules": {rule}}}'
    gateway.segments.answers["CreateSegment"] = pb.CreateSegmentResponse(segment=segment())
    answer = await gateway.call("POST", "/v1/segments", data=body, headers=headers)
    assert answer.status == status
    if status == 422:
        assert [error["pointer"] for error in answer.body["errors"]] == ["/rules"]
    assert len(gateway.segments.received) == (status == 201)


@pytest.mark.parametrize(
    "pointers",
    [
        ["/conditions/0/field", "/conditions/7/value/3"],
        ["/rules/any/1/operator", "/rules/any/0/all/2/a~1b~0c"],
        ["/rules"],
    ],
    ids=["conditions", "rules", "both"],
)
@pytest.mark.parametrize("call", ["create", "update", "patch", "preview"])
async def test_faults_of_a_rule_point_into_the_body(gateway: Gateway, call: str, pointers: list[str]) -> None:
    violations = [Violation(pointer, Reason.INVALID_RULE, f"Wrong at {pointer}.") for pointer in pointers]
    refused = InvalidArgument(Reason.INVALID_RULE, "The rule cannot be evaluated.", violations=violations)
    for method in ("CreateSegment", "UpdateSegment", "PreviewSegment"):
        gateway.segments.answers[method] = refused
    answer = await gateway.call(*CALLS[call], json={**NAMES[call], "conditions": [CONDITION]})
    assert (answer.status, answer.code) == (422, "invalid_rule")
    assert answer.body["errors"] == [
        {"pointer": pointer, "code": "invalid_rule", "detail": f"Wrong at {pointer}."} for pointer in pointers
    ]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_an_update_sends_only_what_was_sent(gateway: Gateway, method: str) -> None:
    gateway.segments.answers["UpdateSegment"] = pb.UpdateSegmentResponse(segment=segment())
    await gateway.call(method, f"/v1/segments/{SEG}", json={"name": "New"})
    request = gateway.segments.last("UpdateSegment").request
    assert (request.name, request.HasField("rule_json")) == ("New", False)
    for name in ("conditions", "rules", "both", "no conditions"):
        await gateway.call(method, f"/v1/segments/{SEG}", json=DEFINITIONS[name], headers={"If-Match": '"4"'})
        request = gateway.segments.last("UpdateSegment").request
        assert orjson.loads(request.rule_json) == DEFINITIONS[name]
        assert (request.HasField("name"), request.if_version) == (False, 4)
    for body in ({"name": None}, {"name": ""}):
        assert (await gateway.call(method, f"/v1/segments/{SEG}", json=body)).status == 422


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["conditions", "rules", "both", "neither"])
async def test_a_preview_counts_and_shows_contacts(gateway: Gateway, path: str, name: str) -> None:
    response = pb.PreviewSegmentResponse(count=1234, estimate=True)
    response.sample.add(id=CNT, version=1, phone="+15550100", metadata_json='{"plan":{"seats":12}}')
    gateway.segments.answers["PreviewSegment"] = response
    answer = await gateway.call("POST", f"{path}/preview", json=DEFINITIONS[name])
    assert answer.status == 200
    assert {**answer.body, "sample": None} == {"count": 1234, "estimate": True, "sample": None}
    (contact,) = answer.body["sample"]
    assert (contact["id"], contact["metadata"]) == (CNT, {"plan": {"seats": 12}})
    # The full record, as the contact's own call answers it.
    gateway.contacts.answers["GetContact"] = contacts_pb2.GetContactResponse(contact=response.sample[0])
    assert contact == (await gateway.call("GET", f"/v1/contacts/{CNT}")).body
    assert orjson.loads(gateway.segments.last("PreviewSegment").request.rule_json) == DEFINITIONS[name]


async def test_a_preview_has_no_name(gateway: Gateway) -> None:
    answer = await gateway.call("POST", "/v1/segments/preview", json={"name": "x", "conditions": [CONDITION]})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "/name")


def explained() -> pb.ExplainMembershipResponse:
    found = pb.ExplainMembershipResponse(member=True, matches=False)
    found.joined_at.FromJsonString("2026-03-01T09:05:00Z")
    found.as_of.FromJsonString("2026-03-02T00:00:00.5Z")
    found.flips_at.FromJsonString("2026-03-31T09:05:00Z")
    found.leaves.add(
        pointer="/rules/any/0", field="tags", operator="not_contains", value_json='["a",1,null]', passed=True,
        seen_json='["premium","vip"]',
    )  # fmt: skip
    found.leaves.add(pointer="/rules/any/1", field="email", operator="exists", seen_json="null")
    timed = found.leaves.add(pointer="/rules/not", field="created_at", operator="in_last", value_json='"30d"')
    timed.seen_json = '"2026-03-01T09:05:00Z"'
    timed.flips_at.FromJsonString("2026-03-31T09:05:00Z")
    return found


@pytest.mark.parametrize("path", PATHS)
async def test_a_membership_is_explained_condition_by_condition(gateway: Gateway, path: str) -> None:
    gateway.segments.answers["ExplainMembership"] = explained()
    answer = await gateway.call("GET", f"{path}/{SEG}/explain?contact_id={CNT}")
    assert answer.status == 200
    assert answer.body == {
        "segment_id": SEG,
        "contact_id": CNT,
        "member": True,
        "joined_at": "2026-03-01T09:05:00Z",
        "matches": False,
        "as_of": "2026-03-02T00:00:00.500000Z",
        "flips_at": "2026-03-31T09:05:00Z",
        "conditions": [
            {
                "pointer": "/rules/any/0", "field": "tags", "operator": "not_contains", "value": ["a", 1, None],
                "passed": True, "seen": ["premium", "vip"], "flips_at": None,
            },
            {
                "pointer": "/rules/any/1", "field": "email", "operator": "exists", "value": None,
                "passed": False, "seen": None, "flips_at": None,
            },
            {
                "pointer": "/rules/not", "field": "created_at", "operator": "in_last", "value": "30d",
                "passed": False, "seen": "2026-03-01T09:05:00Z", "flips_at": "2026-03-31T09:05:00Z",
            },
        ],
    }  # fmt: skip
    request = gateway.segments.last("ExplainMembership").request
    assert (request.segment_id, request.contact_id) == (SEG, CNT)


async def test_who_is_no_member_joined_never_and_may_never_flip(gateway: Gateway) -> None:
    answer = await gateway.call("GET", f"/v1/segments/{SEG}/explain?contact_id={CNT}")
    assert (answer.body["member"], answer.body["joined_at"], answer.body["flips_at"]) == (False, None, None)


@pytest.mark.parametrize(
    ("query", "status", "pointer"),
    [
        ("", 422, "/contact_id"),
        ("?contact_id=", 422, "/contact_id"),
        ("?contact=" + CNT, 422, "/contact"),
        ("?contact_id=" + "x" * 65, 422, "/contact_id"),
        ("?contact_id=nobody", 404, None),
        ("?contact_id=" + SEG, 404, None),
    ],
    ids=["missing", "empty", "misspelt", "long", "malformed", "another noun's"],
)
async def test_an_explanation_is_of_a_contact(gateway: Gateway, query: str, status: int, pointer: str | None) -> None:
    answer = await gateway.call("GET", f"/v1/segments/{SEG}/explain{query}")
    assert (answer.status, answer.code) == (status, "validation_failed" if pointer else "not_found")
    if pointer:
        assert pointer in [error["pointer"] for error in answer.body["errors"]]
    assert gateway.segments.received == []


async def test_an_unknown_contact_or_segment_has_no_explanation(gateway: Gateway) -> None:
    gateway.segments.answers["ExplainMembership"] = NotFound(Reason.NOT_FOUND, "No contact has the id.")
    answer = await gateway.call("GET", f"/v1/segments/{SEG}/explain?contact_id={CNT}")
    assert (answer.status, answer.code) == (404, "not_found")
    assert (await gateway.call("GET", f"/v1/segments/nothing/explain?contact_id={CNT}")).status == 404


async def test_preview_and_explain_only_read(gateway: Gateway) -> None:
    """A key that may not write segments may ask; one that may not read them may not."""
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/segments/preview", {"json": DEFINITIONS["rules"]}),
        ("GET", f"/v1/segments/{SEG}/explain?contact_id={CNT}", {}),
    ]
    reader = await service.create_account(gateway.work, "Reader", scopes=["segments:read"])
    stranger = await service.create_account(gateway.work, "Stranger", scopes=["segments:write", "contacts:read"])
    for method, path, more in calls:
        assert (await gateway.call(method, path, key=reader.key, **more)).status == 200
        refused = await gateway.call(method, path, key=stranger.key, **more)
        assert (refused.status, refused.body["scope"]) == (403, "segments:read")


async def test_members_carry_the_contact_and_the_revision(gateway: Gateway) -> None:
    response = pb.ListMembersResponse(revision=9)
    response.members.add(contact=contacts_pb2.Contact(id=CNT, version=1))
    response.members[0].joined_at.FromJsonString("2026-03-01T09:05:00.25Z")
    gateway.segments.answers["ListMembers"] = response
    answer = await gateway.call("GET", f"/v1/segments/{SEG}/members?limit=10")
    assert (answer.body["revision"], answer.body["has_more"]) == (9, False)
    member = answer.body["data"][0]
    assert (member["contact"]["id"], member["joined_at"]) == (CNT, "2026-03-01T09:05:00.250000Z")


async def test_the_segments_of_a_contact(gateway: Gateway) -> None:
    gateway.segments.answers["ListContactSegments"] = pb.ListContactSegmentsResponse(segments=[segment()])
    answer = await gateway.call("GET", f"/v1/contacts/{CNT}/segments")
    assert [one["id"] for one in answer.body["data"]] == [SEG]
