"""Messages from recipients: stored before they are acknowledged, told to contacts, and to the world."""

import asyncio
from datetime import UTC, datetime

import orjson
import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from carillon.events.v1 import events_pb2
from chassis import errors, ids
from chassis.ids import AccountId
from services.campaigns.replying import Replies
from tests.service.campaigns.hooks import post, say, sent
from tests.service.campaigns.world import World, phone

ANNA = phone(0)
OUT, IN = contacts_pb.PREFERENCE_OPTED_OUT, contacts_pb.PREFERENCE_OPTED_IN


async def told(world: World, *, now: bool = True) -> None:
    """Everything that is due; now: also what was put off."""
    if now:
        await world.admin("UPDATE inbound SET due_at = now() WHERE done_at IS NULL")
    replies = Replies(world.work_db, world.tell)
    while await replies.step():
        pass


async def received(world: World, account: AccountId) -> list[events_pb2.MessagesChanged]:
    rows = await world.admin(
        "SELECT data FROM outbox WHERE account_id = $1 AND type = 'message.received' ORDER BY created_at, id", account
    )
    return [events_pb2.MessagesChanged.FromString(row["data"]) for row in rows]


async def test_a_reply_is_told_with_the_campaign_that_it_answers(world: World, account: AccountId) -> None:
    sender, _, _ = await sent(world, account, 2)
    campaign = await world.campaign(account, sender_id=sender.id)
    await world.upload(account, campaign, f"phone\n{ANNA}\n")
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    (line,) = await world.recipients(account, campaign)
    contact = world.replies.owners[ANNA] = ids.encode("cnt", ids.new())
    answer = await say(world, account, sender, "Is it still on?", address=ANNA, at="2026-03-01T09:00:00Z")
    assert orjson.loads(answer.body) == {"stored": 1}
    await told(world)
    (reply,) = world.replies.taken.values()
    assert (reply.address, reply.text, reply.says) == (ANNA, "Is it still on?", 0)
    # The last message to the address, not the first.
    assert (reply.campaign_id, reply.recipient_id) == (campaign.id, line.id)
    (event,) = await received(world, account)
    assert (event.campaign_id, event.received.text, event.received.id) == (campaign.id, "Is it still on?", reply.id)
    assert [(one.id, one.contact_id) for one in event.recipients] == [(line.id, contact)]
    (row,) = await world.admin("SELECT created_at, bulk FROM outbox WHERE type = 'message.received'")
    # Subscribers go by the event's time.
    assert (row["created_at"], row["bulk"]) == (datetime(2026, 3, 1, 9, tzinfo=UTC), False)


async def test_a_stranger_is_told_of_too(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    await say(world, account, sender, "hello", address="+15559999999")
    await told(world)
    (event,) = await received(world, account)
    assert (event.campaign_id, list(event.recipients), event.received.address) == ("", [], "+15559999999")


async def test_a_stop_is_with_contacts_when_it_is_acknowledged(world: World, account: AccountId) -> None:
    sender, _, _ = await sent(world, account, 1)
    await say(world, account, sender, " Stop! ", address=ANNA)
    (reply,) = world.replies.taken.values()
    assert (reply.says, reply.source, reply.text, reply.channel) == (OUT, "reply", " Stop! ", contacts_pb.CHANNEL_SMS)
    assert [event.received.word for event in await received(world, account)] == [pb.WORD_OPT_OUT]
    await say(world, account, sender, "START", address=ANNA)
    assert [one.says for one in world.replies.taken.values()] == [OUT, IN]


async def test_a_sentence_with_the_word_says_nothing(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    await say(world, account, sender, "Don't stop", address=ANNA)
    await told(world)
    assert [one.says for one in world.replies.taken.values()] == [0]


async def test_a_stop_that_contacts_cannot_hear_is_kept_and_not_acknowledged(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    world.contacts.available = False
    with pytest.raises(errors.Unavailable) as caught:
        await say(world, account, sender, "STOP", address=ANNA)
    assert caught.value.metadata["retry_after"] == "5"
    await told(world, now=False)
    assert not world.replies.taken
    # What says nothing of consent need not wait for contacts.
    await say(world, account, sender, "hello?", address=phone(1))
    world.contacts.available = True
    await told(world)
    assert sorted(one.text for one in world.replies.taken.values()) == ["STOP", "hello?"]


async def test_repetitions_change_nothing_also_after_an_opt_in(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    for text, name in (("STOP", "m1"), ("STOP", "m1"), ("START", "m2"), ("STOP", "m1")):
        await say(world, account, sender, text, address=ANNA, id=name)
    await told(world)
    assert [one.says for one in world.replies.taken.values()] == [OUT, IN]
    assert len(await received(world, account)) == 2


async def test_of_one_address_the_first_comes_first(world: World, account: AccountId) -> None:
    """However many workers there are, and whatever was put off."""
    sender = await world.sender(account)
    world.contacts.available = False
    for text in ("STOP", "START", "STOP", "START"):
        with pytest.raises(errors.Unavailable):
            await say(world, account, sender, text, address=ANNA)
    world.contacts.available = True
    # The later ones are due, and the first is not.
    await world.admin(
        "UPDATE inbound SET due_at = now() + CASE WHEN id = (SELECT min(id::text)::uuid FROM inbound) "
        "THEN interval '1 h' ELSE interval '0' END"
    )
    await told(world, now=False)
    assert not world.replies.taken
    await world.admin("UPDATE inbound SET due_at = now()")
    workers = [Replies(world.work_db, world.tell) for _ in range(4)]
    while len(world.replies.taken) < 4:
        await asyncio.gather(*(worker.step() for worker in workers))
    assert [one.says for one in world.replies.taken.values()] == [OUT, IN, OUT, IN]


async def test_one_that_is_refused_for_good_keeps_no_other(world: World, account: AccountId) -> None:
    sender = await world.sender(account)
    world.replies.refused.add("poison")
    for number, text in enumerate(("fine", "poison", "fine too")):
        await say(world, account, sender, text, address=phone(number))
    await told(world, now=False)
    assert sorted(one.text for one in world.replies.taken.values()) == ["fine", "fine too"]
    open_ones = await world.admin("SELECT text FROM inbound WHERE done_at IS NULL")
    assert [row["text"] for row in open_ones] == ["poison"]


async def test_a_claim_that_was_lost_tells_nothing_twice(world: World, account: AccountId) -> None:
    """A worker so slow that another took the reply over: contacts knows it by its id, and one event goes out."""
    sender = await world.sender(account)
    await say(world, account, sender, "hello", address=ANNA)
    slow = Replies(world.work_db, world.tell)

    async def meanwhile() -> None:
        world.replies.after = None
        await told(world)

    world.replies.after = meanwhile
    await slow.step()
    assert len(world.replies.taken) == 1
    assert world.replies.calls == 2
    assert len(await received(world, account)) == 1


async def test_replies_are_the_senders_own(world: World, account: AccountId, other: AccountId) -> None:
    """Two accounts with the same recipients: each reply answers its own account's campaign."""
    mine, _, _ = await sent(world, account, 1)
    theirs, _, _ = await sent(world, other, 1)
    for owner, sender in ((account, mine), (other, theirs)):
        body = orjson.dumps({"messages": [{"id": "same", "from": ANNA, "text": str(owner)}]})
        await post(world, owner, sender, pb.HOOK_INBOUND, body)
    await told(world)
    for owner in (account, other):
        (event,) = await received(world, owner)
        assert event.received.text == str(owner)
        campaigns = await world.admin("SELECT id FROM campaigns WHERE account_id = $1", owner)
        assert event.campaign_id == ids.encode("cmp", campaigns[0]["id"])
