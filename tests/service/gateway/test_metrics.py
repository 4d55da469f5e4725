"""What the gateway counts of its requests."""

from typing import Any

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from chassis import ids
from chassis.errors import NotFound, Reason, Unavailable
from services.gateway import edge
from tests.service.gateway.conftest import Gateway
from tests.service.gateway.test_uploads import IMPORT, becomes, form, queued, state
from tests.service.stack import measured

CONTACT_ID = ids.encode("cnt", ids.new())
CONTACT = "/v1/contacts/{id}"
OBJECTIVES = [(objective, met) for objective in ("availability", "latency") for met in ("yes", "no")]


def objectives() -> dict[tuple[str, str], float]:
    name = "carillon_gateway_objective_requests_total"
    return {(objective, met): measured(name, objective=objective, met=met) for objective, met in OBJECTIVES}


def grown(before: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    return {key: now - before[key] for key, now in objectives().items() if now != before[key]}


def kinds(route: str, method: str = "GET") -> dict[str, float]:
    found = {
        kind: measured("carillon_gateway_request_seconds_count", method=method, route=route, kind=kind)
        for kind in ("call", "upload", "stream", "wait")
    }
    return {kind: count for kind, count in found.items() if count}


@pytest.mark.parametrize(
    ("answer", "status", "counted"),
    [
        (pb.GetContactResponse(contact=pb.Contact(id=CONTACT_ID, metadata_json="{}")), 200, ("yes", "yes")),
        (NotFound(Reason.NOT_FOUND, "No contact."), 404, ("yes", "yes")),
        (Unavailable(Reason.UNAVAILABLE, "Away."), 503, ("no", None)),
    ],
)
async def test_a_call_counts_towards_its_objectives(
    gateway: Gateway, answer: Any, status: int, counted: tuple[str, str | None]
) -> None:
    gateway.contacts.answers["GetContact"] = answer
    before = objectives()
    requests = measured("carillon_gateway_requests_total", method="GET", route=CONTACT, status=str(status))
    assert (await gateway.call("GET", f"/v1/contacts/{CONTACT_ID}")).status == status
    available, quick = counted
    expected = {("availability", available): 1.0} | ({("latency", quick): 1.0} if quick else {})
    assert grown(before) == expected
    found = measured("carillon_gateway_requests_total", method="GET", route=CONTACT, status=str(status))
    assert found == requests + 1


async def test_a_call_that_took_too_long_missed_its_objective(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "OBJECTIVE_SECONDS", 0.0)
    gateway.contacts.answers["GetContact"] = NotFound(Reason.NOT_FOUND, "No contact.")
    before = objectives()
    await gateway.call("GET", f"/v1/contacts/{CONTACT_ID}")
    assert grown(before) == {("availability", "yes"): 1.0, ("latency", "no"): 1.0}


async def test_what_takes_its_time_is_no_call(gateway: Gateway) -> None:
    """A file, a wait for a job's end, a stream: nobody is promised that they take a second."""
    queued(gateway)
    becomes(gateway, state(pb.IMPORT_STATUS_COMPLETED))
    before, imports, events = objectives(), kinds(IMPORT, "POST"), kinds("/v1/imports/{id}/events")
    small, large = b"phone\n+1234567890\n", b"phone\n" + b"+1234567890\n" * 100_000
    for data, prefer in ((small, "wait"), (large, "wait"), (small, "respond-async")):
        answer = await gateway.call("POST", IMPORT, data=form(data), headers={"Prefer": prefer})
        assert answer.status in (200, 202)
    assert (await gateway.call("GET", f"/v1/imports/{ids.encode('imp', ids.new())}/events")).status == 200
    expected = {"wait": 1.0, "upload": 1.0, "call": 1.0}
    assert {kind: count - imports.get(kind, 0) for kind, count in kinds(IMPORT, "POST").items()} == expected
    assert kinds("/v1/imports/{id}/events") == events | {"stream": events.get("stream", 0) + 1}
    assert grown(before) == {("availability", "yes"): 4.0, ("latency", "yes"): 1.0}


async def test_a_probe_is_nobody_s_request(gateway: Gateway) -> None:
    before = objectives()
    await gateway.call("GET", "/healthz", key=None)
    assert grown(before) == {}
