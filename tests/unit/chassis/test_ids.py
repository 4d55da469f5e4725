from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from chassis import ids


@given(st.uuids())
def test_an_id_reads_back(value: UUID) -> None:
    text = ids.encode("cnt", value)
    assert len(text) == 4 + 26
    assert ids.decode("cnt", text) == value


def test_the_form_is_that_of_typeid() -> None:
    # From the TypeID specification's valid.json.
    assert ids.encode("prefix", UUID("0188bac7-4afa-78aa-bc3b-bd1eef28d881")) == "prefix_01h2xcejqtf2nbrexx3vqjhp41"


@given(st.text(max_size=40))
def test_anything_else_is_no_id(text: str) -> None:
    decoded = ids.decode("cnt", text)
    assert decoded is None or ids.encode("cnt", decoded) == text


def test_another_prefix_or_a_number_too_large_is_no_id() -> None:
    good = ids.encode("cnt", ids.new())
    assert ids.decode("seg", good) is None
    assert ids.decode("cnt", "cnt_8" + good[5:]) is None


def test_new_ids_sort_by_time() -> None:
    made = [ids.encode("cnt", ids.new()) for _ in range(1000)]
    assert made == sorted(made)
