"""The dialects' small parts: what is ignored, and the key that stands in a query."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from services.gateway.dialects import ignored
from services.gateway.dialects.chat.query_key import move
from services.gateway.dialects.chat.route import NAMES
from services.gateway.dialects.chat.schemas import ChatContact, ChatContactCreate
from services.gateway.dialects.ignored import DialectBody
from services.gateway.headers import HEADERS_KEY


class Inner(DialectBody):
    known: int = 0


class Outer(DialectBody):
    renamed: Annotated[int, Field(alias="reNamed")] = 0
    inner: Inner = Inner()
    free: dict[str, int] = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"reNamed": 1, "inner": {"known": 2}, "free": {"anything": 3}}, []),
        ({"renamed": 1, "other": 2}, ["renamed", "other"]),
        ({"inner": {"unknown": 1, "known": 2}}, ["inner/unknown"]),
        ({"inner": [{"unknown": 1}]}, []),
        ([], []),
        (None, []),
    ],
    ids=["nothing", "not by the inner name", "inside an object", "no object", "array", "null"],
)
def test_what_a_body_has_and_its_model_has_not(body: object, expected: list[str]) -> None:
    assert list(ignored.unknown(Outer, body)) == expected


def test_names_are_fit_for_a_header() -> None:
    scope: dict[str, Any] = {}
    assert ignored.header(scope) is None
    ignored.note(scope, ["a,b", "größe", "line\r\nSet-Cookie: x", "a,b", "\ud800", "filter/age"])
    value = ignored.header(scope)
    assert value == "a%2Cb, gr%C3%B6%C3%9Fe, line%0D%0ASet-Cookie:%20x, %3F, filter/age"


def test_a_header_stays_short_however_much_is_ignored() -> None:
    scope: dict[str, Any] = {}
    ignored.note(scope, [f"{at}-{'x' * 500}" for at in range(1000)])
    value = ignored.header(scope)
    assert value is not None
    assert len(value) < 2_100
    names = value.split(", ")
    assert names[-1] == f"+{1000 - len(names) + 1}"
    assert max(map(len, names)) == 100


@pytest.mark.parametrize(
    ("query", "left", "key"),
    [
        (b"apiKey=ck_live_1", b"", "ck_live_1"),
        (b"email=a%40b.c&apiKey=ck_live_1&x=%20+y", b"email=a%40b.c&x=%20+y", "ck_live_1"),
        (b"%61piKey=ck%5Flive_1", b"", "ck_live_1"),
        (b"apiKey=&a=1", b"a=1", None),
        (b"apiKey&a=1", b"a=1", None),
        (b"apiKey=first&apiKey=second", b"", "first"),
        (b"apikey=x&myapiKey=y", b"apikey=x&myapiKey=y", None),
        (b"", b"", None),
        (b"apiKey=%E2%82%AC", b"", "€"),
    ],
    ids=["alone", "among others", "encoded", "empty", "no value", "twice", "others' names", "no query", "no latin"],
)
def test_a_key_moves_from_the_query_to_a_header(query: bytes, left: bytes, key: str | None) -> None:
    scope: dict[str, Any] = {"query_string": query, HEADERS_KEY: {"host": "x"}}
    move(scope)
    assert scope["query_string"] == left
    assert scope[HEADERS_KEY] == {"host": "x"} | ({"apikey": key} if key is not None else {})


def test_a_key_in_a_header_goes_before_one_in_the_query() -> None:
    scope: dict[str, Any] = {"query_string": b"apiKey=other", HEADERS_KEY: {"apikey": "mine"}}
    move(scope)
    assert (scope["query_string"], scope[HEADERS_KEY]) == (b"", {"apikey": "mine"})


def test_the_chat_dialect_has_one_name_for_each_field() -> None:
    """In bodies, answers and errors alike."""
    for model in (ChatContactCreate, ChatContact):
        printed = {name: field.alias or name for name, field in model.model_fields.items()}
        assert {name: printed[name] for name in NAMES} == NAMES
