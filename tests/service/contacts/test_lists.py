"""Static lists over gRPC: their lives, who is on them, and that members, list_ids and counts agree."""

import asyncio

import pytest

from carillon.contacts.v1 import lists_pb2 as pb
from chassis import ids
from chassis.errors import Aborted, InvalidArgument, NotFound
from tests.service.contacts.conftest import AT_ONCE
from tests.service.contacts.events import outbox

NOWHERE = ids.encode("lst", ids.new())
NOBODY = ids.encode("cnt", ids.new())

DISAGREEMENTS = """
SELECT 'count', l.id FROM lists AS l WHERE l.account_id = $1
    AND l.member_count <> (SELECT count(*) FROM contact_lists AS m WHERE m.account_id = $1 AND m.list_id = l.id)
UNION ALL
SELECT 'row without its list id', m.contact_id FROM contact_lists AS m WHERE m.account_id = $1 AND NOT EXISTS (
    SELECT FROM contacts AS c WHERE c.account_id = $1 AND c.id = m.contact_id AND m.list_id = ANY(c.list_ids))
UNION ALL
SELECT 'list id without its row', c.id FROM contacts AS c, unnest(c.list_ids) AS list_id
WHERE c.account_id = $1 AND NOT EXISTS (
    SELECT FROM contact_lists AS m WHERE m.account_id = $1 AND m.list_id = list_id AND m.contact_id = c.id)
UNION ALL
SELECT 'twice', c.id FROM contacts AS c WHERE c.account_id = $1
    AND cardinality(c.list_ids) <> (SELECT count(DISTINCT list_id) FROM unnest(c.list_ids) AS list_id)
"""

# Once the background has done its work.
ORPHANS = """
SELECT list_id FROM contact_lists AS m WHERE m.account_id = $1
    AND NOT EXISTS (SELECT FROM lists AS l WHERE l.account_id = $1 AND l.id = m.list_id)
"""


async def people(book, number: int) -> list[str]:
    return [(await book.create(external_id=f"p{at}")).contact.id for at in range(number)]


async def run_dry(worker) -> None:
    while await worker.run_once():
        pass


async def test_a_list_lives_and_tells_of_it(lists, admin):
    made = await lists.create("  Friends ", description="of the house")
    assert (made.name, made.description, made.member_count, made.version) == ("Friends", "of the house", 0, 1)
    assert await lists.get(made.id) == made
    changed = await lists.update(made.id, name="Family")
    assert (changed.name, changed.description, changed.version) == ("Family", "of the house", 2)
    assert await lists.update(made.id, name="Family") == changed
    assert not (await lists.update(made.id, clear_description=True)).HasField("description")
    await lists.delete(made.id)
    for call in (lists.get(made.id), lists.update(made.id, name="x"), lists.delete(made.id), lists.members(made.id)):
        with pytest.raises(NotFound):
            await call
    told = await outbox(admin, lists.account)
    assert [(kind, bulk) for kind, bulk, _ in told] == [
        ("list.created", False), ("list.updated", False), ("list.updated", False), ("list.deleted", False)
    ]  # fmt: skip
    assert [message.list.version for _, _, message in told[:3]] == [1, 2, 3]
    assert (told[3][2].id, told[3][2].version) == (made.id, 4)


@pytest.mark.parametrize(
    "fields", [{"name": " "}, {"name": "x" * 201}, {"name": "a\0"}, {"name": "a", "description": "x" * 1001}]
)
async def test_a_list_that_cannot_be(lists, fields):
    with pytest.raises(InvalidArgument):
        await lists.create(**fields)


async def test_a_version_is_demanded(lists):
    made = await lists.create()
    for call in (lists.update(made.id, name="x", if_version=2), lists.delete(made.id, if_version=2)):
        with pytest.raises(Aborted):
            await call
    await lists.delete(made.id, if_version=1)


async def test_lists_come_newest_first_in_pages(lists):
    made = [(await lists.create(name)).id for name in ("a", "a", "c")]
    first = await lists.call("ListLists", pb.ListListsRequest(page_size=2))
    rest = await lists.call("ListLists", pb.ListListsRequest(page_size=2, cursor=first.next_cursor))
    assert [one.id for one in [*first.lists, *rest.lists]] == made[::-1]
    assert not rest.next_cursor


async def test_a_page_of_lists_begins_behind_those_passed_over(lists):
    made = [(await lists.create(name)).id for name in ("a", "b", "c")][::-1]
    for skip in range(4):
        page = await lists.call("ListLists", pb.ListListsRequest(page_size=2, skip=skip, include_total=True))
        assert [one.id for one in page.lists] == made[skip : skip + 2]
        assert (page.total, bool(page.next_cursor)) == (3, skip == 0)
    assert not (await lists.call("ListLists", pb.ListListsRequest())).HasField("total")


async def test_a_page_of_members_begins_behind_those_passed_over(book, lists):
    made, other = (await lists.create()).id, (await lists.create()).id
    added = await people(book, 3)
    await lists.add([made], added)
    await lists.add([other], added[:1])
    for skip in range(5):
        page = await lists.call("ListListMembers", pb.ListListMembersRequest(id=made, page_size=2, skip=skip))
        assert [one.id for one in page.contacts] == added[::-1][skip : skip + 2]
        assert (page.total, bool(page.next_cursor)) == (3, skip == 0)


@pytest.mark.parametrize("skip", [-1, 10_001])
async def test_what_cannot_be_passed_over_is_refused(lists, skip):
    made = (await lists.create()).id
    for method, request in (
        ("ListLists", pb.ListListsRequest(skip=skip)),
        ("ListListMembers", pb.ListListMembersRequest(id=made, skip=skip)),
    ):
        with pytest.raises(InvalidArgument):
            await lists.call(method, request)


async def test_contacts_are_put_on_several_lists_at_once(book, lists, admin):
    ann, bob = await people(book, 2)
    one, two = (await lists.create("1")).id, (await lists.create("2")).id
    await lists.add([one], [ann])
    answer = await lists.add([one, two], [ann, bob, ann, NOBODY, "x"])
    assert (answer.added, list(answer.not_found), list(answer.failed)) == (3, [NOBODY, "x"], [])
    assert [(await lists.get(id_)).member_count for id_ in (one, two)] == [2, 2]
    assert [contact.id for contact in await lists.members(one, page_size=1)] == [bob, ann]
    assert list((await book.get(ann)).lists) == [one, two]
    assert (await book.get(ann)).version == 3
    told = [(bulk, message) for kind, bulk, message in await outbox(admin, book.account) if kind == "contact.updated"]
    assert [bulk for bulk, _ in told] == [False, True]
    assert [list(change.changed_fields) for _, message in told for change in message.changes] == [
        ["lists", "updated_at"]
    ] * 3
    assert told[1][1].changes[0].contact == await book.get(ann)
    removed = await lists.remove([one, two], [ann, NOBODY])
    assert (removed.removed, list(removed.not_found)) == (2, [NOBODY])
    assert (await lists.remove([one], [ann])).removed == 0
    assert not (await book.get(ann)).lists
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_an_unknown_list_refuses_the_whole_call(book, lists):
    (ann,) = await people(book, 1)
    known = (await lists.create()).id
    for unknown in (NOWHERE, "x"):
        for call in (lists.add([known, unknown], [ann]), lists.remove([known, unknown], [ann])):
            with pytest.raises(NotFound):
                await call
    assert not await lists.members(known)


async def test_a_contact_is_on_a_hundred_lists_at_most(book, lists, admin):
    ann, bob = await people(book, 2)
    full = [(await lists.create(str(at))).id for at in range(100)]
    more = (await lists.create("more")).id
    await lists.add(full, [ann])
    answer = await lists.add([more], [ann, bob])
    assert answer.added == 1
    assert [(one.contact_id, one.code) for one in answer.failed] == [(ann, "validation_failed")]
    assert [contact.id for contact in await lists.members(more)] == [bob]
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_a_repeated_key_adds_once(book, lists):
    (ann,) = await people(book, 1)
    made = (await lists.create()).id
    request = pb.AddListMembersRequest(list_ids=[made], contact_ids=[ann])
    first = await lists.call("AddListMembers", request, idempotency=("k", b"1"))
    await lists.remove([made], [ann])
    assert await lists.call("AddListMembers", request, idempotency=("k", b"1")) == first
    assert not await lists.members(made)


async def test_a_deleted_contact_leaves_its_lists(book, lists, admin):
    ann, bob = await people(book, 2)
    made = (await lists.create()).id
    await lists.add([made], [ann, bob])
    await book.delete(ann)
    assert ([contact.id for contact in await lists.members(made)], (await lists.get(made)).member_count) == ([bob], 1)
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_a_small_list_goes_with_all_that_names_it(book, lists, admin, bulk_worker):
    crowd = await people(book, AT_ONCE)
    made, kept = (await lists.create()).id, (await lists.create("kept")).id
    await lists.add([made, kept], crowd)
    await lists.delete(made)
    assert {tuple((await book.get(one)).lists) for one in crowd} == {(kept,)}
    assert await admin.fetch(DISAGREEMENTS, book.account) == []
    assert not await bulk_worker.run_once()


async def test_a_large_list_is_gone_at_once_and_its_members_follow(book, lists, admin, bulk_worker):
    crowd = await people(book, 2 * AT_ONCE + 1)
    made, kept = (await lists.create()).id, (await lists.create("kept")).id
    for start in range(0, len(crowd), 10):
        await lists.add([made, kept], crowd[start : start + 10])
    assert len((await book.page(list_id=made, page_size=100)).contacts) == len(crowd)
    await lists.delete(made)
    with pytest.raises(NotFound):
        await lists.get(made)
    with pytest.raises(NotFound):
        await lists.add([made], crowd[:1])
    assert not (await book.page(list_id=made)).contacts
    # A contact that goes meanwhile is no hindrance.
    await book.delete(crowd[0])
    assert await bulk_worker.run_once()
    assert [len((await book.get(one)).lists) for one in crowd[1:]] == [2] * AT_ONCE + [1] * AT_ONCE
    await run_dry(bulk_worker)
    assert {tuple((await book.get(one)).lists) for one in crowd[1:]} == {(kept,)}
    assert await admin.fetchval("SELECT count(*) FROM contact_lists WHERE account_id = $1", book.account) == 20
    assert await admin.fetch(DISAGREEMENTS, book.account) == []
    told = [message for kind, bulk, message in await outbox(admin, book.account) if kind == "contact.updated" and bulk]
    assert sum(len(message.changes) for message in told[-2:]) == 2 * AT_ONCE


async def test_parallel_changes_leave_everything_in_agreement(book, lists, admin, bulk_worker):
    """Adds, removals, deletions of contacts and of a list, all on the same rows at once."""
    crowd = await people(book, 12)
    made = [(await lists.create(str(at))).id for at in range(4)]

    async def one(at: int) -> None:
        some, few = crowd[at % 5 :: 2], [made[at % 4], made[(at * 3 + 1) % 4]]
        try:
            match at % 4:
                case 0 | 1:
                    await lists.add(few[:: 1 if at % 2 else -1], some)
                case 2:
                    await lists.remove(few, some)
                case 3:
                    await book.delete(crowd[at % 12])
        except NotFound:
            pass

    await asyncio.gather(*(one(at) for at in range(10)), lists.delete(made[0]), *(one(at) for at in range(10, 40)))
    await run_dry(bulk_worker)
    assert await admin.fetch(DISAGREEMENTS, book.account) == []
    assert await admin.fetch(ORPHANS, book.account) == []
    assert await admin.fetchval("SELECT count(*) FROM lists WHERE account_id = $1", book.account) == 3


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


async def test_who_is_chosen_as_the_victim_of_a_deadlock_begins_again(book, lists, admin):
    ann, bob = await people(book, 2)
    made = (await lists.create()).id
    lock = "SELECT FROM contacts WHERE account_id = $1 AND id = $2 FOR UPDATE"
    first, second = (ids.decode("cnt", one) for one in (ann, bob))
    async with admin.transaction():
        # So that the other one is the first to look for a circle.
        await admin.execute("SET LOCAL deadlock_timeout = '1min'")
        await admin.execute(lock, book.account, second)
        adding = asyncio.create_task(lists.add([made], [ann, bob]))
        async with asyncio.timeout(10):
            while not await admin.fetchval(WAITING):
                pass
        await admin.execute(lock, book.account, first)
    assert (await adding).added == 2
    assert await admin.fetch(DISAGREEMENTS, book.account) == []


async def test_two_accounts_never_meet(book, lists, other_lists, other_book):
    (ann,) = await people(book, 1)
    made = (await lists.create()).id
    await lists.add([made], [ann])
    (eve,) = await people(other_book, 1)
    theirs = (await other_lists.create()).id
    unknown = [
        ("GetList", pb.GetListRequest(id=made)),
        ("UpdateList", pb.UpdateListRequest(id=made, name="x")),
        ("DeleteList", pb.DeleteListRequest(id=made)),
        ("ListListMembers", pb.ListListMembersRequest(id=made)),
        ("AddListMembers", pb.AddListMembersRequest(list_ids=[made], contact_ids=[eve])),
        ("RemoveListMembers", pb.RemoveListMembersRequest(list_ids=[made], contact_ids=[ann])),
    ]
    for method, request in unknown:
        with pytest.raises(NotFound):
            await other_lists.call(method, request)
    listed = await other_lists.call("ListLists", pb.ListListsRequest())
    assert [one.id for one in listed.lists] == [theirs]
    assert list((await other_lists.add([theirs], [ann])).not_found) == [ann]
    assert [contact.id for contact in await lists.members(made)] == [ann]
    cursor = (await lists.call("ListLists", pb.ListListsRequest(page_size=1))).next_cursor
    assert cursor == ""
    covered = {method for method, _ in unknown} | {"CreateList", "ListLists"}
    assert covered == {method.name for method in pb.DESCRIPTOR.services_by_name["ListsService"].methods}
