"""Preferences, their evidence, opt-outs and the rules of consent: what is asked, and the shape of what comes back."""

from typing import Any

import pytest

from carillon.contacts.v1 import consent_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from tests.service.gateway.conftest import Gateway

CNT = ids.encode("cnt", ids.new())
OUT, IN, UNKNOWN = (
    contacts_pb2.PREFERENCE_OPTED_OUT,
    contacts_pb2.PREFERENCE_OPTED_IN,
    contacts_pb2.PREFERENCE_UNSPECIFIED,
)


def contact() -> contacts_pb2.Contact:
    found = contacts_pb2.Contact(id=CNT, phone="+15550100", version=2)
    found.preferences["sms"] = OUT
    return found


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"preferences": {"sms": "opted_out", "email": "opted_in"}}, {"sms": OUT, "email": IN}),
        ({"sms": "opted_out", "voice": "unknown"}, {"sms": OUT, "voice": UNKNOWN}),
        ({"preferences": {"viber": None}}, {"viber": UNKNOWN}),
    ],
)
async def test_preferences_are_sent_in_a_map_or_bare(gateway: Gateway, body: Any, asked: Any) -> None:
    gateway.consent.answers["SetPreferences"] = pb.SetPreferencesResponse(contact=contact())
    evidence = {"source": "form", "text": "I agree"}
    answer = await gateway.call(
        "PUT", f"/v1/contacts/{CNT}/preferences", json=body | evidence, headers={"If-Match": '"1"'}
    )
    assert (answer.status, answer.headers["etag"], answer.body["id"]) == (200, '"2"', CNT)
    assert answer.body["preferences"]["sms"] == "opted_out"
    request = gateway.consent.last("SetPreferences").request
    assert (request.id, dict(request.preferences), request.if_version) == (CNT, asked, 1)
    assert (request.source, request.text) == ("form", "I agree")
    assert request.actor.startswith("key_")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/preferences"),
        ({"preferences": {}}, "/preferences"),
        ({"sms": "opted_out", "preferences": {"sms": "opted_in"}}, "/preferences"),
        ({"preferences": {"fax": "opted_out"}}, "/preferences/fax"),
        ({"fax": "opted_out"}, "/fax"),
        ({"sms": "never"}, "/sms"),
    ],
)
async def test_preferences_that_are_refused(gateway: Gateway, body: Any, pointer: str) -> None:
    answer = await gateway.call("PUT", f"/v1/contacts/{CNT}/preferences", json=body)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert [one["pointer"] for one in answer.body["errors"]] == [pointer]


async def test_evidence_is_listed(gateway: Gateway) -> None:
    one = pb.Consent(id="cns_1", channel=contacts_pb2.CHANNEL_SMS, after=OUT, source="form", actor="key_1")
    one.at.FromJsonString("2026-03-01T09:00:00Z")
    gateway.consent.answers["ListConsents"] = pb.ListConsentsResponse(consents=[one], next_cursor="c")
    answer = await gateway.call("GET", f"/v1/contacts/{CNT}/consents?limit=1")
    assert answer.body == {
        "data": [
            {
                "id": "cns_1", "channel": "sms", "before": "unknown", "after": "opted_out", "source": "form",
                "text": None, "actor": "key_1", "at": "2026-03-01T09:00:00Z",
            }
        ],
        "next_cursor": gateway.cursor("c"),
        "has_more": True,
    }  # fmt: skip


async def test_opt_outs_are_contacts_with_their_channels(gateway: Gateway) -> None:
    """The literal path is no contact's id."""
    one = pb.Optout(contact=contact())
    one.channels.add(channel=contacts_pb2.CHANNEL_SMS).opted_out_at.FromJsonString("2026-03-01T09:00:00Z")
    gateway.consent.answers["ListOptouts"] = pb.ListOptoutsResponse(optouts=[one])
    answer = await gateway.call(
        "GET", f"/v1/contacts/optouts?channel=sms&limit=3&cursor={gateway.cursor('x')}&search=ann"
    )
    (found,) = answer.body["data"]
    assert (found["id"], found["phone"]) == (CNT, "+15550100")
    assert found["optouts"] == [{"channel": "sms", "opted_out_at": "2026-03-01T09:00:00Z"}]
    request = gateway.consent.last("ListOptouts").request
    assert (request.channel, request.page_size, request.cursor) == (contacts_pb2.CHANNEL_SMS, 3, "x")
    assert request.search == "ann"
    assert (await gateway.call("GET", "/v1/contacts/optouts?channel=fax")).status == 422


async def test_the_rules_of_consent_are_read_and_changed(gateway: Gateway) -> None:
    rules = pb.ConsentRules(require_opt_in=True)
    gateway.consent.answers["GetConsentRules"] = pb.GetConsentRulesResponse(rules=rules)
    gateway.consent.answers["UpdateConsentRules"] = pb.UpdateConsentRulesResponse(rules=rules)
    assert (await gateway.call("GET", "/v1/consent-rules")).body == {"require_opt_in": True}
    answer = await gateway.call("PUT", "/v1/consent-rules", json={"require_opt_in": True})
    assert (answer.status, answer.body) == (200, {"require_opt_in": True})
    assert gateway.consent.last("UpdateConsentRules").request.require_opt_in
    await gateway.call("PUT", "/v1/consent-rules", json={})
    assert not gateway.consent.last("UpdateConsentRules").request.HasField("require_opt_in")
