"""One change to many contacts: what it does to each, and what cannot be asked for."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.contacts.domain import change as rules
from services.contacts.domain import lists
from services.contacts.domain.change import Change
from services.contacts.domain.contact import Contact
from services.contacts.domain.problems import Refused

A, B, C = (UUID(int=number) for number in (1, 2, 3))


def contact(**fields: object) -> Contact:
    now = datetime.now(UTC)
    return Contact(UUID(int=9), now, now, **fields)  # type: ignore[arg-type]


def test_what_goes_goes_and_what_comes_is_put_at_the_end_once() -> None:
    before = contact(tags=["x", "y", "z"], list_ids=[A, B])
    after = rules.apply(before, Change(("z", "new"), ("x", "never"), (C, A), (B,)))
    assert (after.tags, after.list_ids) == (["y", "z", "new"], [A, C])
    assert (before.tags, before.list_ids) == (["x", "y", "z"], [A, B])
    assert rules.apply(before, Change(add_tags=("x",), remove_lists=(C,))) == before


def test_a_contact_has_room_for_a_hundred() -> None:
    full = contact(tags=[str(number) for number in range(100)], list_ids=[UUID(int=n) for n in range(100)])
    for change in (Change(add_tags=("more",)), Change(add_lists=(UUID(int=100),))):
        with pytest.raises(Refused):
            rules.apply(full, change)
    exchanged = rules.apply(full, Change(add_tags=("more",), remove_tags=("0",)))
    assert len(exchanged.tags) == 100


def test_who_has_too_many_from_elsewhere_may_still_lose_some() -> None:
    crowded = contact(tags=[str(number) for number in range(105)])
    assert len(rules.apply(crowded, Change(remove_tags=("0",))).tags) == 104


def test_repeats_are_one() -> None:
    assert rules.read(add_tags=[" a", "a"], add_lists=[A, A]) == Change(add_tags=("a",), add_lists=(A,))


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"add_tags": ["a"], "remove_tags": ["a"]},
        {"add_lists": [A], "remove_lists": [A]},
        {"add_tags": [" "]},
        {"add_lists": [UUID(int=number) for number in range(101)]},
    ],
    ids=str,
)
def test_what_cannot_be_asked_for(asked: dict[str, list[object]]) -> None:
    with pytest.raises(Refused):
        rules.read(**asked)  # type: ignore[arg-type]


def test_names_of_lists() -> None:
    assert (lists.read_name(" a "), lists.read_description("  "), lists.read_description("x")) == ("a", None, "x")
    for bad in ("", " ", "x" * 201, "\0"):
        with pytest.raises(Refused):
            lists.read_name(bad)


def test_nothing_to_do_is_told_of_a_field_that_can_be_filled() -> None:
    with pytest.raises(Refused) as refused:
        rules.read()
    assert [problem.pointer for problem in refused.value.problems] == ["/add"]
