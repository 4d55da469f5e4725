"""What is read out of Accept, Accept-Encoding, Origin and a cursor."""

import base64

import pytest

from chassis import ids
from chassis.errors import InvalidArgument
from chassis.ids import AccountId
from chassis.sealing import Sealer
from services.gateway import compression, cors, negotiation
from services.gateway.cursors import CursorSeal
from services.gateway.negotiation import EVENTS, JSON, NotAcceptable


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        (None, True),
        ("", True),
        ("*/*", True),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("text/html, application/*;q=0.8", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("text/html", False),
        ("application/json;q=0", False),
        ("text/event-stream", False),
    ],
)
def test_what_a_client_takes(accept: str | None, *, taken: bool) -> None:
    if taken:
        negotiation.check(accept, (JSON,))
    else:
        with pytest.raises(NotAcceptable):
            negotiation.check(accept, (JSON,))
    negotiation.check(accept, ())
    negotiation.check("text/event-stream", (JSON, EVENTS))


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip", "gzip"),
        ("zstd;q=0.5, gzip", "gzip"),
        ("zstd;q=0, gzip;q=0", None),
        ("*", "gzip"),
        ("gzip;q=x", None),
    ],
)
def test_the_encoding_liked_best(accepted: str, expected: str | None) -> None:
    assert compression.chosen(accepted) == expected


def test_origins_are_those_of_browsers() -> None:
    assert cors.origins(" https://a.example,http://localhost:3000 ,") == {"https://a.example", "http://localhost:3000"}
    assert cors.origins("") == frozenset()
    for wrong in ("a.example", "https://a.example/", "https://a.example/path"):
        with pytest.raises(ValueError, match="origin"):
            cors.origins(wrong)


OLD, NEW = (base64.urlsafe_b64encode(bytes([byte]) * 32).decode() for byte in b"12")
SEAL = CursorSeal(Sealer(OLD))
ACCOUNT = AccountId(ids.new())


def test_a_cursor_opens_where_it_was_sealed() -> None:
    sealed = SEAL.seal(ACCOUNT, "abc_-")
    assert sealed != "abc_-"
    assert SEAL.open(ACCOUNT, sealed) == "abc_-"
    assert SEAL.seal(ACCOUNT, "") == ""


def test_a_cursor_made_by_anybody_else_does_not() -> None:
    sealed = SEAL.seal(ACCOUNT, "abc")
    other_key = CursorSeal(Sealer(NEW))
    forged = [
        "abc", "", "é" * 40, sealed + "x", sealed[:-1], "A" + sealed[1:] if sealed[0] != "A" else "B" + sealed[1:],
        other_key.seal(ACCOUNT, "abc"), SEAL.seal(AccountId(ids.new()), "abc"),
    ]  # fmt: skip
    for text in forged:
        with pytest.raises(InvalidArgument) as refused:
            SEAL.open(ACCOUNT, text)
        assert refused.value.reason == "invalid_cursor"


def test_cursors_outlive_the_rotation_of_the_key() -> None:
    """As docs/operations.md orders it: the new key behind the old one, then before it, then alone."""
    before, readable, current, after = (CursorSeal(Sealer(keys)) for keys in (OLD, f"{OLD},{NEW}", f"{NEW},{OLD}", NEW))
    for sealing, opening in ((before, readable), (readable, before), (readable, current), (current, readable)):
        assert opening.open(ACCOUNT, sealing.seal(ACCOUNT, "abc")) == "abc"
    assert after.open(ACCOUNT, current.seal(ACCOUNT, "abc")) == "abc"
    with pytest.raises(InvalidArgument):
        after.open(ACCOUNT, before.seal(ACCOUNT, "abc"))
