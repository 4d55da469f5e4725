"""The checks at the end of the demo: each must be able to fail."""

from dataclasses import replace

import pytest

from deploy.local.demo.carrier_log import Accepted, Receipt
from deploy.local.demo.verdict import checks

EXPECTED = {"+4915112345": "AAAA", "+4915112346": "BBBB"}
STATS = {"total": 3, "sent": 2, "delivered": 1, "failed": 1, "pending": 0, "skipped": 1, "uncertain": 0}
FIRST = Accepted("rcp_1", "+4915112345", "Hi, AAAA", "car_1", duplicate=False)
SECOND = Accepted("rcp_2", "+4915112346", "Hi, BBBB", "car_2", duplicate=False)
ACCEPTED = [FIRST, replace(FIRST, duplicate=True), SECOND]
RECEIPTS = [
    Receipt("car_1", "failed"),
    Receipt("car_1", "delivered"),
    Receipt("car_2", "failed"),
    Receipt("car_2", "failed"),
    Receipt("car_of_another_run", "delivered"),
]


def failing(stats: dict[str, int], accepted: list[Accepted], receipts: list[Receipt]) -> list[str]:
    return [check.claim for check in checks(stats, accepted, receipts, expected=EXPECTED) if not check.holds]


def test_a_right_run_passes() -> None:
    assert failing(STATS, ACCEPTED, RECEIPTS) == []


@pytest.mark.parametrize(
    ("stats", "accepted", "receipts", "claim"),
    [
        (STATS, [*ACCEPTED, replace(SECOND, id="car_3")], RECEIPTS, "no key was accepted as a second message"),
        (STATS, [*ACCEPTED, replace(SECOND, key="rcp_3", id="car_3")], RECEIPTS, "nobody got two messages"),
        (STATS, ACCEPTED[:2], RECEIPTS, "nobody was forgotten"),
        (STATS, [*ACCEPTED, replace(SECOND, to="+4915112349")], RECEIPTS, "nobody else got one"),
        (STATS, [FIRST, replace(SECOND, text="Hi, AAAA")], RECEIPTS, "every text carries its recipient's own code"),
        (STATS | {"sent": 3}, ACCEPTED, RECEIPTS, "stats.sent = keys in the carrier's log"),
        (STATS | {"delivered": 2}, ACCEPTED, RECEIPTS, "stats.delivered = the carrier's receipts"),
        (STATS, ACCEPTED, RECEIPTS[:2], "stats.failed = the carrier's receipts"),
        (STATS | {"skipped": 0}, ACCEPTED, RECEIPTS, "total = sent + pending + skipped + uncertain"),
        (STATS | {"pending": 1}, ACCEPTED, RECEIPTS, "nothing is pending or uncertain"),
    ],
)
def test_a_wrong_one_is_caught(
    stats: dict[str, int], accepted: list[Accepted], receipts: list[Receipt], claim: str
) -> None:
    assert any(found.startswith(claim) for found in failing(stats, accepted, receipts))
