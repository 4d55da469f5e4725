"""A short fault run, and proof that the auditor would notice."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.local.demo.carrier_log import Accepted
from tests.chaos import audit, runs, scenario
from tests.chaos.scenario import Scenario

SHORT = Scenario(
    seed=20_261_121,
    recipients=300,
    rate=15,
    # Once while it freezes the audience, once while it sends; then whom it asks before each batch; then the broker.
    victims=("campaigns-work", "campaigns-work", "contacts", "nats"),
    editors=2,
)


@pytest.mark.timeout(170)
def test_a_campaign_survives_kills() -> None:
    found, history = runs.run(partial(scenario.play, SHORT))
    broken = [f"{check.claim}: {check.found}" for check in found if not check.holds]
    assert not broken, history.events


def test_a_stale_member_and_a_missing_one_are_noticed() -> None:
    wrong = audit.membership(["cnt_a", "cnt_stale"], {"cnt_a", "cnt_missing"}, count=3)
    assert [check.holds for check in wrong] == [False, False, False]
    right = audit.membership(["cnt_a", "cnt_b"], {"cnt_a", "cnt_b"}, count=2)
    assert all(check.holds for check in right)


def test_a_lost_change_and_a_risen_contact_are_noticed() -> None:
    premium = {"cnt_tagged": True, "cnt_untagged": False}
    assert all(c.holds for c in audit.acknowledged(premium, {"cnt_x"}, by_rule={"cnt_tagged"}, existing={"cnt_tagged"}))
    wrong = audit.acknowledged(premium, {"cnt_x"}, by_rule={"cnt_untagged"}, existing={"cnt_x"})
    assert [check.holds for check in wrong] == [False, False]


def test_a_second_message_and_an_unfinished_campaign_are_noticed() -> None:
    first = Accepted("rcp_1", "+4915112345", "CODE", "car_1", duplicate=False)
    stats = {"total": 1, "sent": 1, "delivered": 0, "failed": 0, "pending": 0, "skipped": 0, "uncertain": 0}

    wrote: Any = SimpleNamespace(accepted=[first, replace(first, id="car_2")], receipts=[])
    claims = [
        check.claim
        for check in audit.sending({"status": "paused", "stats": stats}, wrote, expected={first.to: "CODE"})
        if not check.holds
    ]
    assert claims == [
        "the campaign completed",
        "no key was accepted as a second message",
        "nobody got two messages",
    ]
