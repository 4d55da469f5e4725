"""The table of problems is closed on both sides."""

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from carillon.errors.v1 import errors_pb2
from chassis.errors import FailedPrecondition, Internal, InvalidArgument, Reason, ResourceExhausted, Violation
from services.gateway import problem, refusals
from services.gateway.schemas.contacts import ContactCreate
from services.gateway.schemas.segments import SegmentCreate


def test_every_reason_of_the_proto_has_a_status() -> None:
    reasons = {name.removeprefix("REASON_").lower() for name, _ in errors_pb2.Reason.items()} - {"unspecified"}
    assert set(problem.STATUS) == reasons


def test_a_field_code_never_means_something_else_than_a_reason() -> None:
    assert not set(problem.FieldCode) & set(problem.STATUS)


def test_a_problem_carries_violations_and_metadata_in_their_types() -> None:
    error = FailedPrecondition(
        Reason.IDENTITY_CONFLICT,
        "Two contacts.",
        metadata={"existing_ids": "cnt_a, cnt_b", "status": "paused", "limit_bytes": "10"},
        violations=[Violation("/phone", "contact_exists", "Taken.")],
    )
    body = problem.document(error, instance="/v1/contacts", request_id="req_1")
    assert body == {
        "type": "urn:carillon:error:identity_conflict",
        "title": "Identity conflict",
        "status": 409,
        "detail": "Two contacts.",
        "instance": "/v1/contacts",
        "code": "identity_conflict",
        "request_id": "req_1",
        "errors": [{"pointer": "/phone", "code": "contact_exists", "detail": "Taken."}],
        "existing_ids": ["cnt_a", "cnt_b"],
        "current_status": "paused",
        "limit_bytes": 10,
    }


@pytest.mark.parametrize(
    "error", [Internal(Reason.INTERNAL, "psql: password"), InvalidArgument("no_such_reason", "psql: password")]
)
def test_the_inside_stays_inside(error: Exception) -> None:
    assert isinstance(error, InvalidArgument | Internal)
    answer = problem.render(error, instance="/", request_id="r")
    body = orjson.loads(answer.body)
    assert (answer.status_code, body["code"]) == (500, "internal")
    assert b"psql" not in answer.body


def test_waiting_times_become_headers() -> None:
    answer = problem.render(
        ResourceExhausted(Reason.RATE_LIMITED, "Slow down.", metadata={"retry_after": "3"}),
        instance="/",
        request_id="r",
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert b"retry_after" not in answer.body


@pytest.mark.parametrize(
    ("model", "value", "pointer", "code"),
    [
        (ContactCreate, {"a/b~c": 1}, "/a~1b~0c", "unknown_field"),
        (SegmentCreate, {"conditions": []}, "/name", "required"),
        (SegmentCreate, {"name": "x", "conditions": {}}, "/conditions", "wrong_type"),
        (SegmentCreate, {"name": "", "conditions": [{}]}, "/name", "too_short"),
        (ContactCreate, {"tags": ["x"] * 101}, "/tags", "too_long"),
        (ContactCreate, {"current_campaign_data": 7}, "/current_campaign_data", "wrong_type"),
    ],
)
def test_pydantic_s_errors_become_pointers_and_codes(model: type, value: object, pointer: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(model).validate_python(value)
    errors = [{**one, "loc": ("body", *one["loc"])} for one in caught.value.errors()]
    refused = refusals.refused(errors)
    assert (pointer, code) in {(one.pointer, one.code) for one in refused.violations}


def test_a_body_of_nothing_but_faults_is_answered_shortly() -> None:
    errors = [{"type": "extra_forbidden", "loc": ("body", f"{'~' * 1000}{at}"), "msg": "Extra"} for at in range(5000)]
    refused = refusals.refused(errors)
    assert len(refused.violations) == 100
    assert refused.violations[0].pointer == "/" + "~0" * 200
    assert refused.detail.endswith(", and 4900 more.")
    assert len(refused.detail) < 1000
