"""Contacts for who sends to them: the members of a list as a stream, and contacts by their ids."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from carillon.contacts.v1 import audiences_pb2 as pb
from carillon.contacts.v1.audiences_pb2_grpc import AudiencesServiceStub
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import InvalidArgument, NotFound, PermissionDenied
from chassis.grpc_client import Client
from chassis.ids import AccountId
from services.contacts.audiences import service as audiences


@pytest_asyncio.fixture
async def sender(server, keys) -> AsyncIterator[Client]:
    """As the campaigns service calls."""
    client = Client(
        f"127.0.0.1:{server.port}", AudiencesServiceStub, audience="contacts", signer=keys.signer("campaigns")
    )
    yield client
    await client.stop()


async def members(sender: Client, account: AccountId, list_id: str) -> list[list[str]]:
    """The ids of each message of the stream."""
    stream = sender.stream_out(
        sender.stub.StreamListMembers, pb.StreamListMembersRequest(list_id=list_id), call=Outgoing(account), timeout=10
    )
    return [[contact.id for contact in page.contacts] async for page in stream]


async def test_a_list_streams_its_members_by_id(book, lists, sender, monkeypatch):
    monkeypatch.setattr(audiences, "PAGE", 3)
    people = [(await book.create(external_id=f"p{at}", name=f"P{at}")).contact for at in range(7)]
    made = await lists.create("Friends")
    assert await members(sender, book.account, made.id) == []
    await lists.add([made.id], [one.id for one in people[:6]])
    pages = await members(sender, book.account, made.id)
    # The last page is full, and still the last.
    assert pages == [[one.id for one in people[:3]], [one.id for one in people[3:6]]]


async def test_lists_that_are_gone_or_anothers_stream_nothing(book, lists, other, sender):
    made = await lists.create("Friends")
    await lists.add([made.id], [(await book.create(external_id="a")).contact.id])
    for account, list_id in ((other, made.id), (book.account, ids.encode("lst", ids.new())), (book.account, "lst_x")):
        with pytest.raises(NotFound):
            await members(sender, account, list_id)


async def test_a_list_deleted_meanwhile_ends_the_stream_with_its_error(book, lists, serve_db, monkeypatch):
    monkeypatch.setattr(audiences, "PAGE", 1)
    people = [(await book.create(external_id=f"p{at}")).contact.id for at in range(3)]
    made = await lists.create("Friends")
    await lists.add([made.id], people)
    found = audiences.AudienceService(serve_db)
    with pytest.raises(NotFound):
        async for _ in found.members(book.account, made.id):
            await lists.delete(made.id)


async def test_contacts_by_id_without_those_that_are_not_there(book, other_book, sender):
    people = [(await book.create(external_id=f"p{at}")).contact for at in range(3)]
    theirs = (await other_book.create(external_id="x")).contact
    asked = [people[2].id, ids.encode("cnt", ids.new()), "cnt_x", theirs.id, people[0].id]

    async def get(wanted: list[str]) -> pb.GetContactsResponse:
        request = pb.GetContactsRequest(ids=wanted)
        return await sender.unary(sender.stub.GetContacts, request, call=Outgoing(book.account), timeout=10)

    assert list((await get(asked)).contacts) == [people[0], people[2]]
    with pytest.raises(InvalidArgument):
        await get([people[0].id] * 501)


async def test_only_campaigns_may_ask(book, server, keys):
    client = Client(
        f"127.0.0.1:{server.port}", AudiencesServiceStub, audience="contacts", signer=keys.signer("segments")
    )
    try:
        with pytest.raises(PermissionDenied):
            await client.unary(client.stub.GetContacts, pb.GetContactsRequest(), call=Outgoing(book.account), timeout=5)
    finally:
        await client.stop()
