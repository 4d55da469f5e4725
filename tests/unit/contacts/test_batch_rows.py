"""Rows of a batch: the gateway hands them on unread, so the service alone must refuse all that the OpenAPI refuses."""

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chassis.errors import InvalidArgument
from services.contacts.batch.convert import KINDS, answer, read_rows
from services.contacts.batch.resolve import Refusal, Row
from services.contacts.batch.service import read_row
from services.gateway.schemas.batch import ContactBatch
from services.gateway.schemas.contacts import ContactCreate

TEXTS = st.one_of(
    st.text(max_size=20),
    # Around the limits, and with what is taken off or cannot be stored.
    st.builds(
        lambda text, around, times: around * (times // 2) + text * times + around,
        st.sampled_from(["a", "ä", "😀", "\0", " "]),
        st.sampled_from(["", " ", "\t", "\0"]),
        st.sampled_from([1, 62, 63, 64, 65, 199, 200, 201, 253, 255, 998, 1000, 1001]),
    ),
    st.sampled_from(["+14155550123", "(415) 555-0123", "ann@example.com", "DE", "ZZ", ""]),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=8,
)
LONG_TAGS = st.integers(98, 102).map(lambda size: [f"t{at}" for at in range(size)])
REPEATED = st.integers(98, 102).map(lambda size: ["t"] * size)
NESTED = st.integers(3, 7).map(lambda depth: orjson.loads('{"a":' * depth + "1" + "}" * depth))
LARGE = st.integers(16_370, 16_390).map(lambda size: {"a": "x" * size})
NAMES = st.sampled_from([*ContactCreate.model_fields, "metadata_json", "clear", "phne", ""])
ROWS = st.one_of(
    VALUES,
    st.dictionaries(
        NAMES, st.one_of(VALUES, TEXTS, st.lists(TEXTS, max_size=3), LONG_TAGS, REPEATED, NESTED, LARGE), max_size=4
    ),
    st.fixed_dictionaries({"external_id": st.just("x")}, optional=dict.fromkeys(KINDS.keys() - {"external_id"}, TEXTS)),
)
SCHEMA = TypeAdapter(ContactCreate)


def accepted(row: object) -> ContactCreate | None:
    try:
        return SCHEMA.validate_python(row)
    except ValidationError:
        return None


@given(ROWS)
@example({"external_id": "x", "stage": "a" + " " * 200})
@example({"external_id": "x", "email": "a@example.com" + " " * 1000})
@example({"external_id": "x", "stage": "\0"})
@example({"external_id": "x", "tags": [None]})
@example({"external_id": "x", "tags": ["t"] * 101})
@example({"external_id": "x", "tags": ["\x1f" * 64 + "a"]})
@example({"external_id": "x", "tags": ["a" + "\x1c" * 64 + " "]})
@example({"external_id": "x", "is_bot_active": 1})
@example({"external_id": "x", "metadata": [1]})
@example(None)
@example([])
def test_what_the_schema_refuses_the_service_refuses(row: object) -> None:
    sent = orjson.loads(orjson.dumps(row)) if encodable(row) else None
    read = read_row(sent, None)
    assert isinstance(read, Refusal) or accepted(sent) is not None


@given(ROWS)
@example({"external_id": "x", "tags": [" a ", "a", "b"]})
@example({"external_id": "x", "tags": ["\u2003" * 64 + "a" + "\x85" * 64, "\x1cb"]})
def test_what_the_schema_changes_the_service_changes_alike(row: object) -> None:
    sent = orjson.loads(orjson.dumps(row)) if encodable(row) else None
    taken = accepted(sent)
    if taken is None:
        return
    assert sent is not None
    by_schema = read_row({name: getattr(taken, name) for name in sent}, None)
    as_it_came = read_row(sent, None)
    if isinstance(as_it_came, Row):
        assert isinstance(by_schema, Row)
        assert as_it_came.patch == by_schema.patch
    else:
        assert as_it_came == by_schema


@given(st.one_of(VALUES, st.dictionaries(st.sampled_from(["contacts", "more"]), st.one_of(VALUES, st.lists(VALUES)))))
@example({"contacts": []})
@example({"contacts": [1] * 1001})
@example({"contacts": [{}], "more": 1})
def test_what_is_no_batch_by_the_schema_is_none_to_the_service(body: object) -> None:
    sent = orjson.dumps(body) if encodable(body) else b""
    try:
        ContactBatch.model_validate(orjson.loads(sent) if sent else None)
    except ValidationError:
        with pytest.raises(InvalidArgument):
            read_rows(sent)
    else:
        assert read_rows(sent) == orjson.loads(sent)["contacts"]


@pytest.mark.parametrize("levels", [6, 254, 255, 1000])
@pytest.mark.parametrize("name", ["metadata", "current_campaign_data"])
def test_an_object_of_many_levels_is_a_row_s_fault(name: str, levels: int) -> None:
    # More than orjson writes, and less than it reads.
    row = b'{"external_id": "x", "%s": %s1%s}' % (name.encode(), b'{"a":' * levels, b"}" * levels)
    (refused,) = (read_row(row, None) for row in read_rows(b'{"contacts": [%s]}' % row))
    assert isinstance(refused, Refusal)
    assert [problem.pointer for problem in refused.problems] == [f"/{name}"]


@pytest.mark.parametrize(
    "row",
    [
        {"~" * 1_000_000: 1},
        {"external_id": "x", "stage": "a" * 1_000_000},
        {"external_id": "x", "tags": ["a" * 1_000_000]},
        {"external_id": "x", "tags": [f"{at}" + "a" * 64 for at in range(100)]},
        {"external_id": "x", "metadata": {"a" * 1_000_000: 1}},
        {"phone": "1" * 200, "email": "a" * 1000},
    ],
    ids=["a field's name", "a text", "a tag", "many tags", "a key", "keys of a contact"],
)
def test_a_refusal_does_not_repeat_what_was_sent(row: dict[str, object]) -> None:
    refused = read_row(row, None)
    assert isinstance(refused, Refusal)
    # A thousand of them have to fit into one answer.
    assert len(answer([refused]).results_json) < 1_000


def encodable(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True
