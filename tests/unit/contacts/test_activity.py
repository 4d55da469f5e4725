"""Entries that integrators add, and message events that tell of the same message."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from chassis import ids
from services.contacts.activity.consumers import Told, fold_in
from services.contacts.activity.record import Message
from services.contacts.domain import activity
from services.contacts.domain.problems import Refused

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize("type_", ["agent.note", "crm.deal_won", "shop.order.paid2", "messages.read", "a." + "b" * 62])
def test_types_that_may_be_added(type_: str) -> None:
    activity.check(type_, "", at=NOW, now=NOW)


@pytest.mark.parametrize(
    "type_",
    ["", "note", "Agent.note", "agent.", ".note", "agent..note", "agent note", "1a.b", "message.sent", "contact.x"],
)
def test_types_that_may_not(type_: str) -> None:
    with pytest.raises(Refused) as refused:
        activity.check(type_, "", at=NOW, now=NOW)
    assert [problem.pointer for problem in refused.value.problems] == ["/type"]


def test_the_past_is_fine_and_another_s_clock_may_be_a_little_ahead() -> None:
    activity.check("agent.note", "", at=datetime(1999, 1, 1, tzinfo=UTC), now=NOW)
    activity.check("agent.note", "", at=NOW + activity.CLOCKS_APART, now=NOW)
    with pytest.raises(Refused) as refused:
        activity.check("agent.note", "\0", at=NOW + activity.CLOCKS_APART + timedelta(seconds=1), now=NOW)
    assert [problem.pointer for problem in refused.value.problems] == ["/text", "/at"]


def test_one_message_of_a_batch_has_the_newest_state_and_every_time_in_any_order() -> None:
    message_id, campaign_id, contact_id = ids.new(), ids.new(), ids.new()

    def told(revision: int, status: str, **times: datetime) -> Told:
        return contact_id, Message(message_id, campaign_id, "sms", "+15550100", status, "", revision, **times)

    for order in permutations(range(3)):
        steps = [
            told(1, "sent", sent_at=NOW),
            told(2, "failed", failed_at=NOW + timedelta(seconds=1)),
            told(3, "delivered", sent_at=NOW, delivered_at=NOW + timedelta(seconds=2)),
        ]
        kept: dict[object, Told] = {}
        fold_in(kept, [steps[at] for at in order])  # type: ignore[arg-type]
        ((_, message),) = kept.values()
        assert (message.status, message.state_revision) == ("delivered", 3)
        assert (message.sent_at, message.failed_at) == (NOW, NOW + timedelta(seconds=1))
        assert message.delivered_at == NOW + timedelta(seconds=2)
