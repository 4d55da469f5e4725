"""StreamContacts: what services that keep a copy compare it with."""

import pytest
import pytest_asyncio

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import InvalidArgument, PermissionDenied
from chassis.grpc_client import Client
from chassis.outbox import MAX_OBJECTS

FILL = """
INSERT INTO contacts (account_id, id, phone, version, created_at, updated_at)
SELECT $1, uuidv7(), '+1415555' || n, n, now(), now() FROM generate_series(1000, 999 + $2) AS n
"""


@pytest_asyncio.fixture(scope="module")
async def segments(server, keys):
    client = Client(
        f"127.0.0.1:{server.port}", rpc.ContactsServiceStub, audience="contacts", signer=keys.signer("segments")
    )
    yield client
    await client.stop()


@pytest.fixture
def stream(segments, account):
    async def messages(*, of=account, **request):
        outgoing = Outgoing(of)
        answers = segments.stream_out(
            segments.stub.StreamContacts, pb.StreamContactsRequest(**request), call=outgoing, timeout=10.0
        )
        return [answer async for answer in answers]

    return messages


async def test_all_contacts_come_in_order_of_id_and_from_any_place(book, stream, admin, account):
    await admin.execute(FILL, account, 1_203)

    answers = await stream()

    assert [len(answer.contacts) for answer in answers] == [MAX_OBJECTS, MAX_OBJECTS, 203]
    everybody = [contact for answer in answers for contact in answer.contacts]
    assert [contact.id for contact in everybody] == sorted(contact.id for contact in await book.all())
    [behind] = await stream(after_id=everybody[1_000].id)
    assert list(behind.contacts) == everybody[1_001:]
    limited = await stream(after_id=everybody[99].id, limit=501)
    assert [contact for answer in limited for contact in answer.contacts] == everybody[100:601]
    assert await stream(after_id=everybody[-1].id) == []


async def test_a_contact_is_as_it_is_read_or_its_version_alone(book, stream):
    made = (await book.create(phone="+14155552671", tags=["a", "b"], metadata_json='{"plan": "pro"}')).contact
    changed = await book.update(made.id, stage="lead")

    [answer] = await stream()
    assert list(answer.contacts) == [changed]

    [short] = await stream(versions_only=True)
    assert list(short.contacts) == [pb.Contact(id=made.id, version=2, updated_at=changed.updated_at)]


async def test_large_contacts_are_parted_over_messages(book, stream):
    for n in range(70):
        await book.create(external_id=f"x{n}", metadata_json=f'{{"text": "{"é" * 7_500}"}}')

    answers = await stream()

    assert [len(answer.contacts) for answer in answers] == [34, 34, 2]


async def test_those_asked_for_are_there_or_were_deleted_or_are_unknown(book, stream):
    ana, ben = [(await book.create(external_id=name)).contact for name in ("ana", "ben")]
    await book.delete(ben.id)
    asked = [ben.id, ids.encode("cnt", ids.new()), ana.id]

    there, gone = await stream(ids=asked)

    assert (list(there.contacts), list(there.tombstones)) == ([ana], [])
    [tombstone] = gone.tombstones
    assert (tombstone.id, tombstone.version) == (ben.id, 2)
    assert tombstone.deleted_at.seconds > 0
    assert list((await stream(ids=asked, versions_only=True))[0].contacts) == [
        pb.Contact(id=ana.id, version=1, updated_at=ana.updated_at)
    ]


async def test_another_account_sees_none_of_it(book, stream, other):
    kept, gone = [(await book.create(external_id=name)).contact for name in ("kept", "gone")]
    await book.delete(gone.id)

    assert await stream(of=other) == []
    assert await stream(of=other, ids=[kept.id, gone.id]) == []


@pytest.mark.parametrize(
    ("request_fields", "pointer"),
    [
        pytest.param({"after_id": "cnt_x"}, "/after_id", id="no-id"),
        pytest.param({"limit": -1}, "/limit", id="negative"),
        pytest.param({"ids": ["seg_01h455vb4pex5vsknk084sn02q"]}, "/ids", id="another-kind"),
        pytest.param({"ids": ["cnt_01h455vb4pex5vsknk084sn02q"] * 501}, "/ids", id="too-many"),
        pytest.param({"ids": ["cnt_01h455vb4pex5vsknk084sn02q"], "limit": 3}, "/ids", id="both"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(stream, request_fields, pointer):
    with pytest.raises(InvalidArgument) as refused:
        await stream(**request_fields)

    assert [violation.pointer for violation in refused.value.violations] == [pointer]


async def test_only_services_that_keep_a_copy_may_ask(client, account):
    answers = client.stream_out(
        client.stub.StreamContacts, pb.StreamContactsRequest(), call=Outgoing(account), timeout=10.0
    )

    with pytest.raises(PermissionDenied):
        await anext(answers)
