"""A deleted contact on the ledger: its lines stay, with their states and counts, and nothing says whose they were."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from carillon.campaigns.v1 import campaigns_pb2 as pb
from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from carillon.events.v1 import events_pb2
from chassis import ids
from chassis.consumer import Invalid, Received
from chassis.ids import AccountId
from services.campaigns.consumers import Deletions
from services.campaigns.repository import freezing as queries
from tests.service.campaigns.world import World
from tests.service.stack import eventually

PHONE, OTHER, EMAIL = "+4915777000111", "+4915777000112", "Zoe@example.org"
HASH, EMAIL_HASH = b"p" * 32, b"e" * 32


def deletion(contact: str, *, phone: str | None = PHONE) -> events_pb2.ContactDeletion:
    digest = None if phone is None else HASH
    return events_pb2.ContactDeletion(
        id=contact, version=9, phone=phone, phone_hash=digest, email=EMAIL, email_hash=EMAIL_HASH
    )


async def tell(world: World, account: AccountId, *deletions: events_pb2.ContactDeletion) -> None:
    data = events_pb2.ContactsDeleted(deletions=deletions).SerializeToString()
    event = Received("1", "contact.deleted", account, datetime.now(UTC), data, False, None)  # type: ignore[arg-type]
    await Deletions(world.work_db).handle(account, [event])


async def ledger(world: World, account: AccountId) -> list[tuple[str, str, str]]:
    rows = await world.admin("SELECT address, variables, status FROM recipients WHERE account_id = $1", account)
    return sorted(tuple(row) for row in rows)


async def test_members_of_a_segment_lose_their_name_and_keep_their_state(world: World, account: AccountId) -> None:
    gone, left = ids.encode("cnt", ids.new()), ids.encode("cnt", ids.new())
    members = [
        contacts_pb.Contact(id=gone, phone=PHONE, name="Zoe"),
        contacts_pb.Contact(id=left, phone=OTHER, name="Ann"),
    ]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, members))
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    before = await world.check_stats(account, campaign)
    for _ in range(2):
        await tell(world, account, deletion(gone))
        assert await ledger(world, account) == [
            (OTHER, '{"name":"Ann"}', "sent"),
            (f"erased:{HASH.hex()}", "{}", "sent"),
        ]
    assert await world.check_stats(account, campaign) == before
    shown = {line.contact_id: line.address for line in await world.recipients(account, campaign)}
    assert shown == {gone: "", left: OTHER}


async def test_who_is_deleted_between_the_check_and_the_ledger_does_not_come_on_it(
    world: World, account: AccountId
) -> None:
    """The deletion is heard of before there is a line of the contact, and after contacts allowed it."""
    members = [contacts_pb.Contact(id=ids.encode("cnt", ids.new()), phone=phone) for phone in (PHONE, OTHER)]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, members))
    answers = 0

    async def delete() -> None:
        nonlocal answers
        answers += 1
        if answers == 1:
            await tell(world, account, deletion(members[0].id))
        else:
            world.contacts.refused_contacts[members[0].id] = contacts_pb.REFUSAL_ADDRESS_GONE

    world.contacts.before_check = delete
    await world.start(account, campaign)
    assert await world.freezer().step()
    assert await ledger(world, account) == [(OTHER, "{}", "pending")]
    left_out = await world.admin("SELECT contact_id, reason FROM exclusions WHERE account_id = $1", account)
    assert [(ids.encode("cnt", row["contact_id"]), row["reason"]) for row in left_out] == [
        (members[0].id, "address_gone")
    ]
    assert answers == 2


async def test_who_shares_an_address_with_one_who_is_deleted_meanwhile_has_the_line(
    world: World, account: AccountId
) -> None:
    """As where an operator deletes the doubles of contacts while the audience is written."""
    gone, stays = [contacts_pb.Contact(id=ids.encode("cnt", ids.new()), phone=PHONE) for _ in range(2)]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [gone, stays]))

    answers = 0

    async def delete() -> None:
        nonlocal answers
        answers += 1
        if answers == 1:
            await tell(world, account, deletion(gone.id))
        else:
            world.contacts.refused_contacts[gone.id] = contacts_pb.REFUSAL_ADDRESS_GONE

    world.contacts.before_check = delete
    await world.start(account, campaign)
    assert await world.freezer().step()
    (line,) = await world.recipients(account, campaign)
    assert (line.contact_id, line.address) == (stays.id, PHONE)
    left_out = await world.admin("SELECT contact_id, reason FROM exclusions WHERE account_id = $1", account)
    assert [(ids.encode("cnt", row["contact_id"]), row["reason"]) for row in left_out] == [(gone.id, "address_gone")]


async def test_a_deletion_waits_for_lines_that_are_being_written(
    world: World, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = contacts_pb.Contact(id=ids.encode("cnt", ids.new()), phone=PHONE, name="Zoe")
    campaign = await world.campaign(account, segment_id=world.segments.add(account, [gone]))
    erasing = []
    add = queries.add

    async def add_and_wait(*of: Any, **options: Any) -> set[UUID]:
        added = await add(*of, **options)
        erasing.append(asyncio.create_task(tell(world, account, deletion(gone.id))))
        await eventually(partial(world.so_many_wait, 1))
        return added

    monkeypatch.setattr(queries, "add", add_and_wait)
    await world.start(account, campaign)
    assert await world.freezer().step()
    await asyncio.gather(*erasing)
    assert await ledger(world, account) == [(f"erased:{HASH.hex()}", "{}", "pending")]


async def test_an_address_that_the_contact_no_longer_had_goes_too(world: World, account: AccountId) -> None:
    gone = ids.encode("cnt", ids.new())
    members = [contacts_pb.Contact(id=gone, phone=PHONE, name="Zoe")]
    campaign = await world.campaign(account, segment_id=world.segments.add(account, members))
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    await tell(world, account, deletion(gone, phone=None))
    (line,) = await ledger(world, account)
    (shown,) = await world.recipients(account, campaign)
    assert line[0] == f"erased:{ids.decode('rcp', shown.id)}"


async def test_uploaded_lines_go_by_their_address_and_are_skipped(world: World, account: AccountId) -> None:
    campaign = await world.campaign(account)
    await world.upload(account, campaign, f"phone,name\n{PHONE},Zoe\n{OTHER},Ann\n")
    await tell(world, account, deletion(ids.encode("cnt", ids.new())))
    erased = f"erased:{HASH.hex()}"
    # As the contacts service says of what is no phone.
    world.contacts.refused[erased] = contacts_pb.REFUSAL_INVALID_ADDRESS
    async with world.working():
        await world.start(account, campaign)
        await world.until_status(account, campaign, pb.CAMPAIGN_STATUS_COMPLETED)
    assert await ledger(world, account) == [(OTHER, '{"name":"Ann"}', "sent"), (erased, "{}", "skipped")]
    assert world.provider.addresses == [OTHER]


async def test_what_is_being_uploaded_goes_too(world: World, account: AccountId, other: AccountId) -> None:
    for owner in (account, other):
        await world.admin(
            "INSERT INTO upload_rows (account_id, upload_id, address, row_number, recipient_id, variables, suppressed) "
            "VALUES ($1, $1, $2, 1, $1, '{}', false), ($1, $1, $3, 2, $1, '{}', false)",
            owner,
            PHONE,
            EMAIL.lower(),
        )
    await tell(world, account, deletion(ids.encode("cnt", ids.new())))
    rows = await world.admin("SELECT account_id FROM upload_rows")
    assert [row["account_id"] for row in rows] == [other, other]


async def test_another_account_keeps_its_lines(world: World, account: AccountId, other: AccountId) -> None:
    campaign = await world.campaign(other)
    await world.upload(other, campaign, f"phone\n{PHONE}\n")
    await tell(world, account, deletion(ids.encode("cnt", ids.new())))
    assert await ledger(world, other) == [(PHONE, "{}", "pending")]


async def test_an_event_that_names_no_contact_is_refused(world: World, account: AccountId) -> None:
    with pytest.raises(Invalid):
        await tell(world, account, deletion("nobody"))
