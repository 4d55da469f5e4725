import pytest

from chassis.errors import Aborted, InvalidArgument
from services.gateway import conditional, idempotency


def test_no_two_lists_of_parts_look_alike() -> None:
    prints = [idempotency.fingerprint(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ())]
    assert len(set(prints)) == len(prints)
    assert idempotency.fingerprint("a", b"b") == idempotency.fingerprint(b"a", "b")


@pytest.mark.parametrize("key", ["", "x" * 256, "naïve", "a\nb"])
def test_a_key_is_printable_ascii(key: str) -> None:
    with pytest.raises(InvalidArgument):
        idempotency.checked_key(key)


def test_a_key_may_be_absent() -> None:
    assert idempotency.checked_key(None) is None
    assert idempotency.checked_key("order 5") == "order 5"


@pytest.mark.parametrize(("header", "version"), [(None, None), ("*", None), ('"7"', 7), ('W/"7"', 7), (' "7" ', 7)])
def test_if_match(header: str | None, version: int | None) -> None:
    assert conditional.if_version(header) == version


@pytest.mark.parametrize("header", ["7", '"a"', '"1", "2"', '""', '"-1"', '"' + "9" * 40 + '"'])
def test_a_tag_that_was_never_issued_never_matches(header: str) -> None:
    with pytest.raises(Aborted):
        conditional.if_version(header)
