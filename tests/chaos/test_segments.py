"""A short run of segments under kills, and proof that the auditor would notice."""

from functools import partial
from typing import Any

import pytest

from carillon.contacts.v1 import contacts_pb2
from tests.bench.segment_load import leaf
from tests.chaos import runs
from tests.chaos.segments import audit, readings, scenario
from tests.chaos.segments.audit import SECOND
from tests.chaos.segments.readings import Reading
from tests.chaos.segments.scenario import Scenario

SHORT = Scenario(
    seed=20_261_129,
    changes=2_000,
    # A worker that evaluates, and what it needs.
    victims=("segments-work", "postgres", "nats"),
    contacts=800,
    segments=15,
    kill_pause_seconds=0.5,
    edit_pause_seconds=0.2,
)
NOON = 1_796_000_000 * SECOND
VIP = {"conditions": [leaf("tags", "contains", "vip")]}


@pytest.mark.timeout(170)
def test_segments_follow_changes_through_kills() -> None:
    found, history = runs.run(partial(scenario.play, SHORT), environ=scenario.ENVIRON)
    broken = [f"{check.claim}: {check.found}" for check in found if not check.holds]
    assert not broken, history.events


def people(**tags: str) -> dict[str, contacts_pb2.Contact]:
    return {f"cnt_{name}": contacts_pb2.Contact(id=f"cnt_{name}", tags=[tag]) for name, tag in tags.items()}


def reading(*members: str, count: int, definition: dict[str, Any] | None = None, status: str = "ready") -> Reading:
    segment = {"id": "seg_a", "status": status, "member_count": count, **(definition or VIP)}
    return Reading(segment, list(members), NOON, NOON + SECOND // 2)


def broken(one: Reading, known: dict[str, contacts_pb2.Contact]) -> list[str]:
    difference = audit.difference(one, known, {"seg_a": one.definition})
    return [check.claim for check in audit.membership([one], [difference]) if not check.holds]


def test_a_stale_member_and_a_missing_one_are_noticed() -> None:
    known = people(a="vip", b="vip", c="else")
    assert broken(reading("cnt_a", "cnt_b", count=2), known) == []
    assert broken(reading("cnt_a", "cnt_b", "cnt_c", count=3), known) == ["members that their rule does not match"]
    assert broken(reading("cnt_a", "cnt_b", "cnt_gone", count=3), known) == ["members that their rule does not match"]
    assert broken(reading("cnt_a", count=1), known) == ["contacts that a rule matches and its segment lacks"]


def test_a_wrong_count_a_member_listed_twice_and_a_build_under_way_are_noticed() -> None:
    known = people(a="vip")
    count = "segments whose member_count is not the number of members"
    assert broken(reading("cnt_a", count=2), known) == [count]
    assert broken(reading("cnt_a", "cnt_a", count=2), known) == ["members that are listed twice"]
    assert broken(reading("cnt_a", count=1, status="building"), known) == ["segments that are not ready"]
    assert [check.holds for check in audit.counts({"seg_a": (2, 3)}, ["seg_a", "seg_b"])] == [False, False]


@pytest.mark.parametrize(("made_ago", "excused"), [(59, False), (61, True), (63, False)])
def test_only_whom_the_clock_moves_while_the_segment_is_read_is_left_out(made_ago: int, excused: bool) -> None:
    """A minute after it was made the contact leaves; that may be seen two seconds later."""
    known = people(a="vip")
    known["cnt_a"].created_at.FromMicroseconds(NOON - made_ago * SECOND)
    recent = {"conditions": [leaf("created_at", "in_last", "1m")]}
    inside, outside = (reading(*who, count=len(who), definition=recent) for who in (["cnt_a"], []))
    assert (broken(inside, known) == []) is (excused or made_ago < 60)
    assert (broken(outside, known) == []) is (excused or made_ago > 60)


def test_who_is_in_for_a_moment_within_the_reading_is_left_out() -> None:
    known = people(a="vip")
    known["cnt_a"].created_at.FromMicroseconds(NOON - SECOND)
    blink = {"conditions": [leaf("created_at", "in_last", "1s")]}
    assert broken(reading("cnt_a", count=1, definition=blink), known) == []


def test_a_lost_edit_and_a_segment_that_came_back_are_noticed() -> None:
    other = {"conditions": [leaf("tags", "contains", "other")]}
    assert all(check.holds for check in audit.edits({"seg_a": VIP, "seg_b": None}, {"seg_c"}, {"seg_a": VIP}))
    wrong = audit.edits({"seg_a": VIP}, {"seg_c"}, {"seg_a": other, "seg_c": VIP})
    assert [check.holds for check in wrong] == [False, False]


def test_a_contact_of_the_api_is_read_as_services_have_it() -> None:
    body = {
        "id": "cnt_a", "phone": "+14155550001", "email": None, "name": "Ann", "tags": ["vip"], "lists": ["lst_a"],
        "channels": ["sms"], "metadata": {"n": 1.5, "deep": {"b": [None, "x"]}}, "current_campaign_data": None,
        "is_bot_active": False, "do_not_disturb": True, "is_chat_window_open": False, "version": 3,
        "preferences": {"sms": "opted_out", "email": "unknown"}, "validity": {"phone": "invalid", "email": "unknown"},
        "created_at": "2026-03-01T09:00:00.000001Z", "updated_at": "2026-03-01T09:00:00Z",
    }  # fmt: skip
    expected = contacts_pb2.Contact(
        id="cnt_a", phone="+14155550001", name="Ann", tags=["vip"], lists=["lst_a"], channels=["sms"],
        metadata_json='{"n": 1.5, "deep": {"b": [null, "x"]}}', do_not_disturb=True, version=3,
        preferences={"sms": contacts_pb2.PREFERENCE_OPTED_OUT}, phone_validity=contacts_pb2.VALIDITY_INVALID,
    )  # fmt: skip
    expected.created_at.FromMicroseconds(1_772_355_600_000_001)
    expected.updated_at.FromMicroseconds(1_772_355_600_000_000)
    assert readings.contact_of(body) == expected
