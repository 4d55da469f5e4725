"""Preferences: what a write changes, and what is left of it."""

import json

import pytest

from services.contacts.domain import consent, limits
from services.contacts.domain.consent import Change
from services.contacts.domain.problems import Refused


def test_only_what_differs_is_a_change() -> None:
    stored = '{"sms": "opted_out", "email": "opted_in"}'
    said: list[consent.Preference] = ["opted_out", "unknown", "opted_in", "unknown"]
    wanted = dict(zip(["sms", "email", "voice", "rcs"], said, strict=True))
    assert consent.changes(stored, wanted) == [
        Change("email", "opted_in", "unknown"),
        Change("voice", "unknown", "opted_in"),
    ]


def test_an_unknown_channel_is_absent_and_the_others_stay() -> None:
    stored = '{"sms": "opted_out", "email": "opted_in"}'
    made = [Change("email", "opted_in", "unknown"), Change("voice", "unknown", "opted_in")]
    assert json.loads(consent.after(stored, made)) == {"sms": "opted_out", "voice": "opted_in"}
    assert consent.after('{"sms": "opted_out"}', [Change("sms", "opted_out", "unknown")]) == "{}"


def test_channels_that_are_not_known_are_named() -> None:
    with pytest.raises(Refused) as refused:
        consent.changes("{}", {"sms": "opted_in", "fax": "opted_in", "pager": "opted_out"})
    assert [problem.pointer for problem in refused.value.problems] == ["/preferences/fax", "/preferences/pager"]


def test_evidence_has_a_source_and_limits() -> None:
    assert consent.read_evidence(source="  ", text="", actor="key_1") == consent.Evidence("api", "", "key_1")
    assert consent.read_evidence(source=" form ", text=" so ", actor="a").source == "form"
    with pytest.raises(Refused) as refused:
        consent.read_evidence(
            source="s" * (limits.SOURCE_CHARACTERS + 1), text="t" * (limits.EVIDENCE_CHARACTERS + 1), actor="a"
        )
    assert [problem.pointer for problem in refused.value.problems] == ["/source", "/text"]
