"""What a subscriber over NATS may do."""

import pytest

from services.gateway.domain.subscribers import Subscriber

MINE, THEIRS = "acct_01h455vb4pex5vsknk084sn02q", "acct_01h455vb4pex5vsknk084sn02r"


def test_it_gets_the_types_asked_for_of_its_account_in_both_lanes() -> None:
    made = Subscriber("crm", MINE, ["contact.*", "contact.updated", "list.created"])
    assert made.filters == [
        f"events.contact.*.{MINE}",
        f"events.list.created.{MINE}",
        f"events.contact.*.{MINE}.bulk",
        f"events.list.created.{MINE}.bulk",
    ]
    assert Subscriber("crm", MINE).filters == [f"events.*.*.{MINE}", f"events.*.*.{MINE}.bulk"]


def test_two_accounts_subscribers_of_one_name_share_nothing() -> None:
    mine, theirs = Subscriber("crm", MINE), Subscriber("crm", THEIRS)
    assert mine.durable != theirs.durable
    assert mine.nats_account != theirs.nats_account
    assert not set(mine.publishes) & set(theirs.publishes)


@pytest.mark.parametrize("name", ["", "CRM", "a.b", "a>", "a*", "-a", "1a", "a b", "a" * 32])
def test_a_name_is_no_pattern(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        Subscriber(name, MINE)


def test_a_type_is_one_that_there_is() -> None:
    with pytest.raises(ValueError, match=r"contact\.moved"):
        Subscriber("crm", MINE, ["contact.moved"])
