"""A short rollout under load, and proof that the auditor would notice what got lost."""

from functools import partial
from typing import Any

import pytest

from deploy.local.processes import INFRASTRUCTURE
from tests.chaos import runs
from tests.chaos.rolling import audit, scenario
from tests.chaos.rolling.scenario import Scenario

SHORT = Scenario(seed=20_261_129, recipients=150, rate=12)


@pytest.mark.timeout(170)
def test_nobody_notices_a_rollout() -> None:
    found, history = runs.run(partial(scenario.play, SHORT), only=INFRASTRUCTURE)
    broken = [f"{check.claim}: {check.found}" for check in found if not check.holds]
    assert not broken, history.events


def created(position: int, name: str) -> dict[str, Any]:
    contact = {"id": name, "version": 1}
    return {
        "id": f"e{position}",
        "position": position,
        "type": "contact.created",
        "data": {"changes": [{"contact": contact}]},
    }


def broken(told: list[dict[str, Any]], **other: Any) -> list[str]:
    """What the auditor says of a feed of which everybody had everything, but for what is other."""
    ids = [event["id"] for event in told]
    whole: dict[str, Any] = {
        "versions": {"cnt_a": {1}}, "deleted": set(), "imported": 1,
        "followed": [event["position"] for event in told], "received": ids, "heard": ids, "anything": ids,
    }  # fmt: skip
    return [check.claim for check in audit.events(told, **(whole | other)) if not check.holds]


def test_a_lost_event_is_noticed_wherever_it_got_lost() -> None:
    told = [created(1, "cnt_a"), created(2, "cnt_of_an_import")]
    assert broken(told) == []
    assert broken(told, versions={"cnt_a": {1, 2}}) == ["changes that were answered and not told"]
    assert broken(told, deleted={"cnt_a"}) == ["deletions that were answered and not told"]
    assert broken(told, imported=2) == ["contacts made by imports and told"]
    assert broken(told, followed=[2]) == ["the follower saw the feed, once each and in order"]
    assert broken(told, followed=[1]) == ["the follower saw the feed, once each and in order"]
    assert broken(told, received=["e1", "e1"]) == ["events that the webhook has not had"]
    assert broken(told, heard=["e1"]) == ["events in the feed that were not on the broker"]
    assert broken(told, anything=["e1"]) == ["events on the broker that are not in the feed"]
