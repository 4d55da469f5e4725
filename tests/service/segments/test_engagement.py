"""What became of messages: told in any order and more than once, by rules that read it."""

import asyncio
import itertools
import random
from dataclasses import replace
from functools import partial

import pytest

from chassis import ids
from chassis.consumer import Invalid
from services.segments import builder, builds, engagement, locks, projection, steps
from services.segments.consumers import contact_uuid, decode
from services.segments.engagement import Engaged
from services.segments.evaluation import Evaluator
from services.segments.lanes import Lanes
from services.segments.messages import MessageEvents
from tests.service.segments.clockwork import messages, micros, recipient, steps_told, tell
from tests.service.segments.world import changes, contact, counts_differ, deletions, deliver, received, rule
from tests.service.stack import eventually

SENT, DELIVERED, OPENED, REPLIED = (f"2026-02-01T0{hour}:00:00Z" for hour in range(1, 5))
CAMPAIGN = "cmp_01h455vb4pex5vsknk084sn02q"
TABLES = ("engagement", "messages_received", "due", "members")


@pytest.fixture
def evaluator(work_db):
    return Evaluator(work_db)


@pytest.fixture
async def ana(evaluator, account):
    one = contact()
    await deliver(evaluator, account, "contact.created", changes(one))
    return one


async def engaged(db, account, one):
    """What is known of the contact's messages, without what is not; times as micros."""
    async with db.read(account) as tx:
        row = (await engagement.of(tx, account, [contact_uuid(one.id)])).get(contact_uuid(one.id), {})
    return {name: value for name, value in row.items() if name not in ("account_id", "contact_id") and value}


async def rows_of(db, account, one):
    async with db.read(account) as tx:
        counted = {
            table: await tx.fetchval(
                f"SELECT count(*) FROM {table} WHERE account_id = $1 AND contact_id = $2", account, contact_uuid(one.id)
            )
            for table in TABLES
        }
    return {table for table, count in counted.items() if count}


ALL_OF_IT = {
    "last_message_at": micros(SENT),
    "last_delivered_at": micros(DELIVERED),
    "last_opened_at": micros(OPENED),
    "last_replied_at": micros(REPLIED),
    "messages_received": 1,
    "campaigns": [CAMPAIGN],
}


def life_of(one):
    """Every event of one message, as (kind, recipient, time)."""
    message = ids.encode("rcp", ids.new())
    sent = recipient(one.id, id=message, sent=SENT)
    delivered = recipient(one.id, id=message, sent=SENT, delivered=DELIVERED)
    return [
        ("sent", sent, SENT),
        ("delivered", delivered, "2026-02-09"),
        ("opened", delivered, OPENED),
        ("clicked", delivered, "2026-02-01T02:30:00Z"),
        ("received", recipient(one.id), REPLIED),
    ]


@pytest.mark.parametrize("order", range(6))
async def test_events_come_twice_late_and_in_any_order(evaluator, account, ana, work_db, order):
    shuffled = life_of(ana) * 2
    random.Random(order).shuffle(shuffled)

    for kind, one, at in shuffled:
        await tell(evaluator, account, kind, one, campaign=CAMPAIGN, at=at)

    assert await engaged(work_db, account, ana) == ALL_OF_IT


async def test_all_events_of_a_message_in_one_batch(evaluator, account, ana, work_db):
    """As they come from the stream: several events at once, of both lanes."""
    batch = [
        received(f"message.{kind}", messages([one], campaign=CAMPAIGN), account=account, bulk=bulk)
        for (kind, one, _), bulk in zip(life_of(ana) * 2, itertools.cycle([True, False]))
    ]

    await MessageEvents(evaluator, Lanes()).handle(account, batch)

    known = await engaged(work_db, account, ana)
    assert (known["messages_received"], known["last_message_at"]) == (1, micros(SENT))
    assert known["last_delivered_at"] == micros(DELIVERED)


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("sent", {"last_message_at", "campaigns"}),
        ("delivered", {"last_delivered_at", "messages_received", "campaigns"}),
        ("opened", {"last_opened_at", "messages_received", "campaigns"}),
        ("clicked", {"last_opened_at", "messages_received", "campaigns"}),
        ("received", {"last_replied_at"}),
        ("failed", set()),
        ("a_kind_to_come", set()),
    ],
)
async def test_what_each_kind_of_event_says(evaluator, account, ana, work_db, kind, known):
    await tell(evaluator, account, kind, recipient(ana.id), campaign=CAMPAIGN, at=SENT)

    found = await engaged(work_db, account, ana)
    assert found.keys() == known
    assert {found[name] for name in known if name.endswith("_at")} <= {micros(SENT)}


async def test_each_message_counts_once(evaluator, account, ana, work_db):
    first, second = (recipient(ana.id, delivered=DELIVERED) for _ in range(2))
    for one in (first, second, first):
        await tell(evaluator, account, "delivered", one, campaign=CAMPAIGN)
    await tell(evaluator, account, "delivered", second, first, campaign="cmp_another")

    known = await engaged(work_db, account, ana)
    assert known["messages_received"] == 2
    assert known["campaigns"] == [CAMPAIGN, "cmp_another"]


async def test_times_only_go_up(evaluator, account, ana, work_db):
    for at in (OPENED, DELIVERED):
        await tell(evaluator, account, "opened", recipient(ana.id), at=at)

    assert (await engaged(work_db, account, ana))["last_opened_at"] == micros(OPENED)


async def test_a_message_before_the_contact_itself(api, evaluator, account, builder, work_db):
    """It is no member of anything until its own event comes, and then with what the messages said."""
    segment = await api.create(rule(("messages_received", "gte", 1)))
    everybody = await api.create(rule(("email", "not_exists")))
    for one in (segment, everybody):
        await eventually(partial(api.is_ready, one.id))
    ana = contact()

    await tell(evaluator, account, "delivered", recipient(ana.id), campaign=CAMPAIGN)
    assert await api.segments_of(ana.id) == []
    later = await api.create(rule(("campaigns", "contains", CAMPAIGN)))
    await eventually(partial(api.is_ready, later.id))
    assert await api.segments_of(ana.id) == []

    await deliver(evaluator, account, "contact.created", changes(ana))

    assert await api.segments_of(ana.id) == [later.id, everybody.id, segment.id]
    assert await counts_differ(work_db, account) == []


@pytest.mark.parametrize("first", ["deletion", "message"])
async def test_nothing_is_left_of_a_deleted_contact(api, evaluator, account, builder, work_db, first):
    segment = await api.create(rule(("last_message_at", "in_last", "5200w")))
    await eventually(partial(api.is_ready, segment.id))
    ana, ben = contact(), contact()
    await deliver(evaluator, account, "contact.created", changes(ana, ben))
    await tell(evaluator, account, "delivered", recipient(ben.id), recipient(ana.id, sent=SENT), campaign=CAMPAIGN)
    assert await rows_of(work_db, account, ana) == set(TABLES)
    again = recipient(ana.id, sent=OPENED)
    if first == "message":
        await tell(evaluator, account, "delivered", again, campaign=CAMPAIGN)

    await deliver(evaluator, account, "contact.deleted", deletions(ana))
    if first == "deletion":
        await tell(evaluator, account, "delivered", again, campaign=CAMPAIGN)

    assert await rows_of(work_db, account, ana) == set()
    assert await rows_of(work_db, account, ben) >= {"engagement", "messages_received"}
    assert await steps_told(work_db, account, segment.id) == [(ana.id, True), (ana.id, False)]


async def test_a_deletion_that_comes_after_a_message_and_before_the_contact(evaluator, account, work_db):
    ana = contact()
    await tell(evaluator, account, "delivered", recipient(ana.id), campaign=CAMPAIGN)

    await deliver(evaluator, account, "contact.deleted", deletions(ana))
    await deliver(evaluator, account, "contact.created", changes(ana))

    assert await rows_of(work_db, account, ana) == set()


async def test_uploaded_addresses_are_no_contacts(evaluator, account, ana, work_db):
    uploaded = [recipient("", delivered=DELIVERED) for _ in range(3)]

    await tell(evaluator, account, "delivered", uploaded[0], recipient(ana.id), *uploaded[1:], campaign=CAMPAIGN)

    assert (await engaged(work_db, account, ana))["messages_received"] == 1
    async with work_db.read(account) as tx:
        assert await tx.fetchval("SELECT count(*) FROM engagement WHERE account_id = $1", account) == 1
        assert await tx.fetchval("SELECT count(*) FROM contacts_projection WHERE account_id = $1", account) == 1


@pytest.mark.parametrize("broken", ["recipient", "data"])
async def test_an_event_that_breaks_the_contract_is_refused_whole(evaluator, account, ana, work_db, broken):
    event = received("message.opened", messages([recipient(ana.id), recipient("cnt_broken")]), account=account)
    if broken == "data":
        event = replace(event, data=b"\xff")

    with pytest.raises(Invalid):
        await MessageEvents(evaluator, Lanes()).handle(account, [event])

    assert await engaged(work_db, account, ana) == {}


async def test_batches_with_the_same_people_wait_for_each_other(evaluator, account, work_db):
    """In opposite orders, some of them not known yet, while the contacts' own events come as well."""
    people = [contact() for _ in range(300)]
    await deliver(evaluator, account, "contact.created", changes(*people[::2]))

    def batch(chosen):
        return [recipient(one.id, id=f"rcp_{one.id}", delivered=DELIVERED) for one in chosen]

    await asyncio.gather(
        tell(evaluator, account, "delivered", *batch(people), campaign=CAMPAIGN),
        tell(evaluator, account, "opened", *batch(reversed(people)), campaign=CAMPAIGN),
        tell(Evaluator(work_db), account, "delivered", *batch(random.sample(people, 300)), campaign=CAMPAIGN),
        deliver(evaluator, account, "contact.created", changes(*people), bulk=True),
    )

    for one in people[:4]:
        assert (await engaged(work_db, account, one))["messages_received"] == 1
    async with work_db.read(account) as tx:
        sums = await tx.fetchrow(
            "SELECT count(*), sum(messages_received) FROM engagement WHERE account_id = $1", account
        )
    assert tuple(sums) == (300, 300)


async def test_contacts_are_held_in_one_order_also_those_that_are_not_known(evaluator, account, work_db):
    """A change of two is under way and has the first. Who waits for that must not take the second meanwhile."""
    first, second = sorted((contact(), contact()), key=lambda one: one.id)
    await deliver(evaluator, account, "contact.created", changes(first))
    # The first is told of again, which locks it and changes nothing.
    both = decode(received("contact.created", changes(first, second)))

    async with work_db.write(account) as tx:
        await projection.upsert(tx, both[:1])
        telling = asyncio.create_task(tell(evaluator, account, "opened", recipient(first.id), recipient(second.id)))
        await eventually(partial(somebody_waits, tx))
        await projection.upsert(tx, both[1:])
    await telling

    assert await engaged(work_db, account, first) != {}
    assert await engaged(work_db, account, second) != {}


async def somebody_waits(tx):
    return await tx.fetchval(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
    )


RULES = {
    "last_message_at": (("last_message_at", "after", "2026-01-31"), ["sent"]),
    "last_delivered_at": (("last_delivered_at", "exists"), ["delivered"]),
    "last_opened_at": (("last_opened_at", "between", [SENT, "2026-03-01"]), ["opened"]),
    "last_replied_at": (("last_replied_at", "before", "2026-03-01"), ["received"]),
    "messages_received": (("messages_received", "gt", 1), ["delivered", "delivered"]),
    "campaigns": (("campaigns", "contains_any", ["cmp_other", CAMPAIGN]), ["sent"]),
}


@pytest.mark.parametrize("field", list(RULES))
async def test_membership_follows_messages(api, evaluator, account, ana, builder, work_db, field):
    condition, kinds = RULES[field]
    ben = contact()
    await deliver(evaluator, account, "contact.created", changes(ben))
    segment = await api.create(rule(condition))
    field, operator, *value = condition
    opposite = await api.create(rule((field, f"not_{operator}", *value)))
    for one in (segment, opposite):
        await eventually(partial(api.is_ready, one.id))
    assert await api.member_ids(opposite.id) == {ana.id, ben.id}

    for kind in kinds:
        await tell(evaluator, account, kind, recipient(ana.id), campaign=CAMPAIGN, at=SENT)

    assert await api.member_ids(segment.id) == {ana.id}
    assert await api.member_ids(opposite.id) == {ben.id}
    later = await api.create(rule(condition, ("version", "gte", 1)))
    await eventually(partial(api.is_ready, later.id))
    assert await api.member_ids(later.id) == {ana.id}
    assert await counts_differ(work_db, account) == []


async def test_a_change_of_the_contact_does_not_forget_its_messages(api, evaluator, account, ana, builder):
    segment = await api.create(rule(("messages_received", "gte", 1), ("tags", "contains", "vip")))
    await eventually(partial(api.is_ready, segment.id))
    await tell(evaluator, account, "delivered", recipient(ana.id), campaign=CAMPAIGN)

    await deliver(evaluator, account, "contact.updated", changes(contact(2, id=ana.id, tags=["vip"]), fields=["tags"]))

    assert await api.member_ids(segment.id) == {ana.id}


async def test_through_the_stream(api, contacts, nats, worker, account):
    segment = await api.create(rule(("campaigns", "contains", CAMPAIGN)))
    await eventually(partial(api.is_ready, segment.id))
    ana, ben = contact(), contact()
    await contacts.created(ana, ben)

    for bulk, one in ((True, ana), (False, ben)):
        await contacts._publish("message.sent", messages([recipient(one.id)], campaign=CAMPAIGN), bulk)

    async def both():
        return await api.member_ids(segment.id) == {ana.id, ben.id}

    await eventually(both)


async def test_filling_sees_what_messages_under_way_make_of_a_contact(
    api, nothing_left_to_build, evaluator, account, ana, work_db
):
    """Messages leave the contact's own row as it is: the filling, which waits for it, must look at them again."""
    segment = await api.create(rule(("last_opened_at", "not_exists")))
    build = await builds.claim(work_db)
    assert build is not None
    opened = Engaged(contact_uuid(ana.id), times={"last_opened_at": micros(OPENED)})

    async with work_db.write(account) as tx:
        await locks.share(tx, account)
        await projection.hold(tx, [opened.contact_id])
        await engagement.record(tx, [opened])
        filling = asyncio.create_task(steps.take(work_db, build))

        async def waits_or_is_done():
            return filling.done() or await somebody_waits(tx)

        await eventually(waits_or_is_done)
    build = await filling
    assert build is not None
    await builder.work(work_db, build)

    assert await api.member_ids(segment.id) == set()
    assert await counts_differ(work_db, account) == []
