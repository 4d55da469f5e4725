"""How many recipients one event tells of."""

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts
from carillon.events.v1 import events_pb2 as events
from chassis.outbox import MAX_BYTES, MAX_OBJECTS
from services.campaigns.work.message_events import parts


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [
        (1, 0, [1]),
        (MAX_OBJECTS, 10, [MAX_OBJECTS]),
        (2 * MAX_OBJECTS + 1, 10, [MAX_OBJECTS, MAX_OBJECTS, 1]),
        (7, MAX_BYTES // 4, [3, 3, 1]),
        # One that is too large by itself goes all the same.
        (2, MAX_BYTES + 1, [1, 1]),
    ],
)
def test_an_event_has_so_many_recipients_and_bytes_at_most(count: int, size: int, lengths: list[int]) -> None:
    recipients = [pb.Recipient(id=f"rcp_{number}", variables_json="x" * size) for number in range(count)]
    changed = events.MessagesChanged(campaign_id="cmp_1", channel=contacts.CHANNEL_SMS, recipients=recipients)
    made = list(parts(changed))
    assert [len(part.recipients) for part in made] == lengths
    assert [one for part in made for one in part.recipients] == recipients
    assert {(part.campaign_id, part.channel) for part in made} == {("cmp_1", contacts.CHANNEL_SMS)}
