"""The counts of an audience, and the ids that are left out of one."""

from uuid import UUID

import pytest

from services.campaigns.domain.funnel import COUNTED_AS, Funnel, funnel
from services.campaigns.domain.id_set import IdSet
from services.campaigns.domain.recipient import Reason

# Reasons that a line on the ledger may have, and nobody who is left out of it.
OF_THE_LEDGER = {
    Reason.CANCELLED,
    Reason.TEMPLATE_ERROR,
    Reason.MISSING_VARIABLE,
    Reason.PROVIDER_REFUSED,
    Reason.PROVIDER_ERROR,
    Reason.NO_ANSWER,
    Reason.UNDELIVERED,
}


def test_everybody_is_in_one_count() -> None:
    found = funnel(dict.fromkeys(COUNTED_AS, 2), final=5)
    assert found == Funnel(excluded=2, no_address=4, invalid=2, opted_out=2, do_not_contact=4, duplicate=2, final=5)
    assert found.matched == 5 + 2 * len(COUNTED_AS)


def test_every_reason_to_be_left_out_is_counted_as_something() -> None:
    assert set(COUNTED_AS) == set(Reason) - OF_THE_LEDGER


@pytest.mark.parametrize("matched", [10, 11, 1_000_003])
def test_proportions_of_more_people_still_add_up(matched: int) -> None:
    found = Funnel(no_address=1, opted_out=2, duplicate=3, final=4).scaled(matched)
    assert found.matched == matched
    assert abs(found.duplicate - matched * 0.3) <= 1


def test_nobody_scales_to_nobody() -> None:
    assert Funnel().scaled(100) == Funnel()


@pytest.mark.parametrize("order", ["ascending", "two runs", "descending"])
def test_ids_are_found_in_whatever_order_they_came(order: str) -> None:
    even = [UUID(int=number << 64) for number in range(0, 200, 2)]
    odd = [UUID(int=number << 64) for number in range(1, 200, 2)]
    found = IdSet()
    if order == "two runs":
        found.add(even[50:])
        found.add(even[:50])
    else:
        found.add(even if order == "ascending" else reversed(even))
    assert all(one in found for one in even)
    assert not any(one in found for one in odd)


def test_an_empty_set_of_ids_has_none() -> None:
    assert UUID(int=0) not in IdSet()
