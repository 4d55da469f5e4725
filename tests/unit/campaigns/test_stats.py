"""The numbers add up after any history of recipients, counted as deltas or anew."""

from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.recipient import RANK, Receipt, Status, after_receipt
from services.campaigns.domain.stats import NOTHING, OF_ONE, Stats, count, step

# What the engine may do to a recipient, besides receipts.
STEPS = {
    Status.PENDING: [Status.CLAIMED, Status.SKIPPED, Status.UNCERTAIN],
    Status.CLAIMED: [Status.SENT, Status.FAILED, Status.PENDING, Status.UNCERTAIN, Status.SKIPPED],
    Status.UNCERTAIN: [Status.SENT, Status.FAILED],
}
# A recipient's number, and which of the things that may happen to it does.
moves = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), max_size=60)
receipts = st.sampled_from(list(Receipt))


def happens(status: Status, choice: int) -> Status | None:
    told = [after_receipt(status, receipt) for receipt in Receipt]
    possible = [*STEPS.get(status, []), *(one for one in told if one is not None)]
    return possible[choice % len(possible)] if possible else None


@given(moves)
def test_deltas_equal_a_recount_and_always_add_up(history: list[tuple[int, int]]) -> None:
    ledger = [Status.PENDING] * 5
    stats = OF_ONE[Status.PENDING] * 5
    for recipient, choice in history:
        now = happens(ledger[recipient], choice)
        if now is None:
            continue
        stats += step(ledger[recipient], now)
        ledger[recipient] = now
        assert stats == count(ledger)
        assert stats.adds_up
        assert stats.total == 5


def test_every_state_is_counted() -> None:
    assert set(OF_ONE) == set(Status)
    assert all(one.adds_up and one.total == 1 for one in OF_ONE.values())


def test_what_does_not_add_up_is_seen() -> None:
    assert NOTHING.adds_up
    assert not Stats(total=1).adds_up
    assert not Stats(total=1, sent=1, delivered=1, failed=1).adds_up
    assert not Stats(sent=-1, pending=1).adds_up


@given(st.sampled_from(list(Status)), st.lists(receipts, max_size=6), st.randoms())
def test_the_order_of_receipts_does_not_matter(status: Status, told: list[Receipt], random: object) -> None:
    def end(order: list[Receipt]) -> Status:
        now = status
        for receipt in order:
            now = after_receipt(now, receipt) or now
        return now

    shuffled = list(told)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert end(shuffled) is end(told) is end(told + told)


@given(st.sampled_from(list(Status)), receipts)
def test_receipts_only_lead_upwards(status: Status, receipt: Receipt) -> None:
    now = after_receipt(status, receipt)
    if now is not None:
        assert RANK[now] > RANK[status]
    if status in (Status.PENDING, Status.CLAIMED, Status.SKIPPED):
        assert now is None
