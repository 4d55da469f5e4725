"""Custom data as the columns that rules compare."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.segments.domain.facts import of_custom
from services.segments.domain.moments import DAY


def columns(data):
    return of_custom("metadata", data)


def test_texts_are_folded():
    assert columns({"plan": "GOLD", "street": "Straße"}) == {
        "t:metadata.plan": ("gold",),
        "t:metadata.street": ("strasse",),
    }


def test_keys_are_paths_as_written():
    assert columns({"A": {"b": {"C": "x"}}}) == {"t:metadata.A.b.C": ("x",)}


def test_elements_of_arrays_stand_apart_from_texts():
    assert columns({"likes": ["Art", "art", ["Sport"]], "mood": "art"}) == {
        "e:metadata.likes": ("art", "sport"),
        "t:metadata.mood": ("art",),
    }


def test_objects_in_arrays_are_gone_through():
    assert columns({"orders": [{"sku": "A"}, {"sku": "B", "n": 2}]}) == {
        "e:metadata.orders.sku": ("a", "b"),
        "n:metadata.orders.n": (2.0,),
    }


def test_numbers_and_booleans_have_columns_of_their_own():
    assert columns({"n": 5, "yes": True, "list": [1, 1.0, False]}) == {
        "n:metadata.n": (5.0,),
        "b:metadata.yes": (True,),
        "n:metadata.list": (1.0,),
        "b:metadata.list": (False,),
    }


@pytest.mark.parametrize(
    ("text", "number"),
    [("30", 30.0), ("-1.5", -1.5), ("+7", 7.0), ("1e3", 1000.0), ("007", 7.0), ("-0", 0.0)],
)
def test_texts_that_are_written_like_numbers(text, number):
    assert columns({"n": text}) == {"t:metadata.n": (text.casefold(),), "n:metadata.n": (number,)}


@pytest.mark.parametrize("text", ["1,5", "0x10", "1_000", " 1", "1 ", "1.", ".5", "nan", "inf", "1e999", "٣", "+", "-"])
def test_texts_that_are_not(text):
    assert set(columns({"n": text})) == {"t:metadata.n"}


def test_texts_that_are_times():
    assert columns({"born": "1970-01-02", "at": "1970-01-01T02:00:00+02:00"}) == {
        "t:metadata.born": ("1970-01-02",),
        "d:metadata.born": (DAY,),
        "t:metadata.at": ("1970-01-01t02:00:00+02:00",),
        "d:metadata.at": (0,),
    }


def test_what_is_empty_has_no_column():
    assert columns({"a": None, "b": "", "c": [], "d": {}, "e": [None, "", {}]}) == {}


def test_numbers_beyond_doubles_have_none():
    assert columns({"huge": 10**400, "large": 2**63}) == {"n:metadata.large": (float(2**63),)}


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(data=st.dictionaries(st.text(max_size=3), json, max_size=3))
def test_each_column_has_distinct_values_of_one_type(data):
    types = {"t": str, "e": str, "n": float, "d": int, "b": bool}
    for name, values in columns(data).items():
        assert values
        assert len(set(values)) == len(values)
        assert {type(value) for value in values} == {types[name[0]]}
