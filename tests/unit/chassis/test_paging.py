import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import InvalidArgument
from chassis.paging import decode_cursor, encode_cursor, page_size


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3))
def test_a_cursor_reads_back(scope: str, parts: list[str]) -> None:
    assert decode_cursor(encode_cursor(scope, *parts), scope, parts=len(parts)) == parts


@given(st.text(max_size=60))
def test_a_foreign_or_made_up_cursor_is_refused(text: str) -> None:
    cursor = encode_cursor("contacts of A", "x")
    for bad in (text, cursor[:-3], cursor):
        with pytest.raises(InvalidArgument, match="invalid_cursor"):
            decode_cursor(bad, "contacts of B", parts=1)


@pytest.mark.parametrize("asked", [-1, 101, 2**31])
def test_a_page_outside_the_limits_is_refused(asked: int) -> None:
    with pytest.raises(InvalidArgument):
        page_size(asked)


def test_no_size_is_fifty() -> None:
    assert page_size(0) == 50
