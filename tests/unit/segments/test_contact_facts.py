"""A contact, and what became of its messages, as columns; and what people are shown of it."""

import json
from typing import Any

import pytest
from hypothesis import given

from carillon.contacts.v1 import contacts_pb2
from services.segments import convert
from services.segments.contact_facts import engagement_facts, facts_of, shown
from services.segments.domain.fields import FIELDS, Kind, find
from services.segments.domain.grammar import Leaf, Operator
from services.segments.domain.moments import SECOND
from services.segments.explanations import Explained
from tests.unit.segments import oracle
from tests.unit.segments.strategies import NO_ENGAGEMENT, PATHS, cases

ID = "cnt_01h455vb4pex5vsknk084sn02q"


def contact(**fields: Any) -> contacts_pb2.Contact:
    """As the contacts service sends one of which nothing is known."""
    known: dict[str, Any] = {"id": ID, "version": 3, "metadata_json": "{}", "is_bot_active": True}
    return contacts_pb2.Contact(**known | fields)


def facts(**fields: Any) -> dict[str, tuple[Any, ...]]:
    """Besides the id and the version."""
    found = facts_of(contact(**fields))
    assert found.pop("t:id") == (ID,)
    assert found.pop("n:version") == (3.0,)
    return found


def test_nothing_and_defaults_are_left_out():
    assert facts() == {}
    assert facts(
        preferences={"sms": contacts_pb2.PREFERENCE_UNSPECIFIED}, phone_validity=contacts_pb2.VALIDITY_UNSPECIFIED
    ) == {}  # fmt: skip


def test_texts_are_folded():
    assert facts(name="Ana LÓPEZ", stage="WON", external_id="Straße") == {
        "t:name": ("ana lópez",),
        "t:stage": ("won",),
        "t:external_id": ("strasse",),
    }


def test_sets_are_folded_and_keep_what_differs():
    assert facts(tags=["VIP", "vip", "Ñu"], lists=["lst_A"], channels=["sms", "email"]) == {
        "e:tags": ("vip", "ñu"),
        "e:lists": ("lst_a",),
        "e:channels": ("sms", "email"),
    }


def test_times_are_microseconds():
    made = contact()
    made.created_at.FromJsonString("2026-01-31T09:30:00.123456789Z")
    made.updated_at.FromJsonString("1969-12-31T23:59:59.5Z")

    found = facts_of(made)

    assert found["d:created_at"] == (1_769_851_800_123_456,)
    assert found["d:updated_at"] == (-SECOND // 2,)


def test_flags_count_where_they_are_not_the_default():
    assert facts(is_bot_active=False, do_not_disturb=True, is_chat_window_open=True) == {
        "b:is_bot_active": (False,),
        "b:do_not_disturb": (True,),
        "b:is_chat_window_open": (True,),
    }


def test_preferences_and_validity_have_names():
    preferences = {"sms": contacts_pb2.PREFERENCE_OPTED_OUT, "email": contacts_pb2.PREFERENCE_OPTED_IN}

    assert facts(
        preferences=preferences,
        phone_validity=contacts_pb2.VALIDITY_INVALID,
        email_validity=contacts_pb2.VALIDITY_VALID,
    ) == {
        "t:preferences.sms": ("opted_out",),
        "t:preferences.email": ("opted_in",),
        "t:validity.phone": ("invalid",),
        "t:validity.email": ("valid",),
    }


def test_a_channel_of_a_later_version_is_no_field_yet():
    assert facts(preferences={"pigeon": contacts_pb2.PREFERENCE_OPTED_IN}) == {}


def test_custom_data_of_both_roots():
    found = facts(metadata_json='{"Plan": "GOLD", "n": [1]}', current_campaign_data_json='{"step": "2"}')

    assert found == {
        "t:metadata.Plan": ("gold",),
        "n:metadata.n": (1.0,),
        "t:current_campaign_data.step": ("2",),
        "n:current_campaign_data.step": (2.0,),
    }


def test_an_integer_beyond_doubles_does_no_harm():
    """The contacts service takes it."""
    data = json.dumps({"huge": 10**400, "plan": "gold"})

    assert facts(metadata_json=data, current_campaign_data_json=data) == {
        "t:metadata.plan": ("gold",),
        "t:current_campaign_data.plan": ("gold",),
    }


def test_engagement():
    row = NO_ENGAGEMENT | {"last_opened_at": 7, "last_replied_at": 0, "messages_received": 2, "campaigns": ["cmp_a"]}

    assert engagement_facts(NO_ENGAGEMENT) == {}
    assert engagement_facts(row) == {
        "d:last_opened_at": (7,),
        "d:last_replied_at": (0,),
        "n:messages_received": (2.0,),
        "e:campaigns": ("cmp_a",),
    }


def shown_of(name: str, engagement: dict[str, Any] | None = None, /, **fields: Any) -> object:
    field = find(name)
    assert field is not None
    return shown(field, contact(**fields), engagement or {})


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("id", {}, ID),
        ("version", {}, 3),
        ("name", {"name": "Ana LÓPEZ"}, "Ana LÓPEZ"),
        ("name", {}, None),
        ("tags", {"tags": ["VIP", "eu"]}, ["VIP", "eu"]),
        ("tags", {}, None),
        ("do_not_disturb", {}, False),
        ("is_bot_active", {}, True),
        ("preferences.sms", {"preferences": {"sms": contacts_pb2.PREFERENCE_OPTED_OUT}}, "opted_out"),
        ("preferences.sms", {}, "unknown"),
        ("validity.email", {"email_validity": contacts_pb2.VALIDITY_INVALID}, "invalid"),
        ("validity.phone", {}, "unknown"),
        ("metadata.plan", {"metadata_json": '{"plan": "GOLD"}'}, "GOLD"),
        ("metadata.n", {"metadata_json": '{"n": 18446744073709551617}'}, 2**64 + 1),
        ("metadata.n", {"metadata_json": str({"n": 10**400}).replace("'", '"')}, 10**400),
        ("metadata.a.b", {"metadata_json": '{"a": {"b": [1, "x"]}}'}, [1, "x"]),
        ("metadata.a.b", {"metadata_json": '{"a": [{"b": 1}, {"c": 2}, {"b": "x"}]}'}, [1, "x"]),
        ("metadata.a.b", {"metadata_json": '{"a.b": 1}'}, 1),
        ("metadata.a.b", {"metadata_json": '{"a.b": null, "a": {"b": 2}}'}, 2),
        ("metadata.a.b", {"metadata_json": '{"a": "b"}'}, None),
        ("metadata.a", {}, None),
        ("current_campaign_data.step", {"current_campaign_data_json": '{"step": 2}'}, 2),
        ("current_campaign_data.step", {}, None),
    ],
)  # fmt: skip
def test_what_is_shown(name, fields, expected):
    assert shown_of(name, **fields) == expected


def test_times_are_shown_as_the_api_has_them():
    made = contact()
    made.created_at.FromJsonString("2026-01-31T09:30:00Z")

    assert shown(FIELDS["created_at"], made, {}) == "2026-01-31T09:30:00Z"
    assert shown_of("updated_at") is None
    assert shown_of("last_opened_at", NO_ENGAGEMENT | {"last_opened_at": 1_500_000}) == "1970-01-01T00:00:01.500000Z"


def test_engagement_is_shown_also_where_no_message_ever_told_of_it():
    row = NO_ENGAGEMENT | {"messages_received": 2, "campaigns": ["cmp_a"]}

    for name, expected, none in [
        ("messages_received", 2, 0),
        ("campaigns", ["cmp_a"], None),
        ("last_opened_at", None, None),
    ]:
        assert [shown_of(name, row), shown_of(name, NO_ENGAGEMENT), shown_of(name)] == [expected, none, none]
        assert type(shown_of(name)) is type(none)


@given(cases())
def test_something_is_shown_wherever_something_exists(case):
    for person in case.people:
        for name in [*FIELDS, *PATHS]:
            field = find(name)
            assert field is not None
            if field.kind is Kind.SEGMENTS:
                continue
            exists = {"conditions": [{"field": name, "operator": "exists"}]}
            there = shown(field, person.contact, person.engagement) is not None
            expected = oracle.holds(exists, person.contact, person.engagement, case.now, {})
            assert there or not expected
            # Objects and empty texts are shown, though rules see no value in them.
            assert expected or not there or field.kind is Kind.CUSTOM


def test_an_integer_beyond_64_bits_is_explained_as_written():
    field = find("metadata.n")
    assert field is not None
    leaf = Leaf("/conditions/0", field, Operator.EXISTS, False, None)

    for seen in (2**64 + 1, 10**400):
        explained = Explained(leaf, {"operator": "exists"}, True, seen, None)
        assert convert.explained(explained).seen_json == str(seen)
