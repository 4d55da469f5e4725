"""Files of addresses for the do-not-contact list."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import suppression_uploads_pb2 as uploads_pb2
from carillon.contacts.v1.suppression_uploads_pb2_grpc import SuppressionUploadsServiceStub
from chassis.call import Outgoing
from chassis.errors import CarillonError, FailedPrecondition, Reason
from chassis.grpc_client import Client
from services.contacts.cleaner import Cleaner
from tests.service.contacts.events import outbox
from tests.service.contacts.test_suppressions import OK, check, suppress

FILE = b"""Mobile,E-Mail,Reason,Note
+1 415 555 2671,,asked by phone,x
,Ada@Example.org,,
+14155552672,bob@example.org,,
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def uploads_client(server, keys) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{server.port}"
    gateway = Client(target, SuppressionUploadsServiceStub, audience="contacts", signer=keys.signer("gateway"))
    yield gateway
    await gateway.stop()


@pytest.fixture
def upload(uploads_client, account):
    async def send(
        data: bytes, *, end: bool = True, piece: int = 64, idempotency: tuple[str, bytes] | None = None, **options: Any
    ) -> uploads_pb2.UploadSuppressionsResponse:
        async def parts() -> AsyncIterator[uploads_pb2.UploadSuppressionsRequest]:
            yield uploads_pb2.UploadSuppressionsRequest(options=uploads_pb2.UploadSuppressionsOptions(**options))
            for start in range(0, len(data), piece):
                yield uploads_pb2.UploadSuppressionsRequest(chunk=data[start : start + piece])
            if end:
                yield uploads_pb2.UploadSuppressionsRequest(end=True)

        method = uploads_client.stub.UploadSuppressions
        outgoing = Outgoing(account, idempotency=idempotency)
        response, _ = await uploads_client.stream_in(method, parts(), call=outgoing, timeout=30)
        return response

    return send


async def entries(book) -> list[pb.Suppression]:
    found = (await book.call("ListSuppressions", pb.ListSuppressionsRequest(page_size=100))).suppressions
    return sorted(found, key=lambda one: one.phone or one.email)


def counts(answer: uploads_pb2.UploadSuppressionsResponse) -> tuple[int, int, int, int]:
    return answer.imported, answer.updated, answer.duplicates, answer.failed


async def test_phones_and_emails_of_a_file_go_on_the_list(book, upload, admin, account):
    answer = await upload(FILE, reason="legal")
    assert counts(answer) == (4, 0, 0, 0)
    found = await entries(book)
    assert [(one.phone or one.email, one.reason, list(one.channels)) for one in found] == [
        ("+14155552671", "asked by phone", []),
        ("+14155552672", "legal", []),
        ("Ada@Example.org", "legal", []),
        ("bob@example.org", "legal", []),
    ]
    assert await check(book, ("", "+14155552671"), ("", "+14155552699")) == ["SUPPRESSED", OK]
    assert await check(book, ("", "ADA@example.org"), channel=pb.CHANNEL_EMAIL) == ["SUPPRESSED"]
    ((kind, bulk, told),) = await outbox(admin, account)
    assert (kind, bulk) == ("suppression.created", True)
    assert sorted(told.suppressions, key=lambda one: one.phone or one.email) == found


async def test_the_same_file_again_adds_nothing_and_says_so(book, upload, admin, account):
    await upload(FILE)
    before = await entries(book)
    assert counts(await upload(FILE)) == (0, 0, 4, 0)
    assert await entries(book) == before
    assert len(await outbox(admin, account)) == 1


async def test_bad_rows_are_named_and_cost_nobody_else(book, upload):
    rows = b"phone,email,reason\n12ab,,\n+14155552671,nobody,\n,,because\n+14155552672,,\n+1 (415) 555-2672,,\n"
    answer = await upload(rows + b"+14155552673,," + b"x" * 501 + b"\n")
    assert counts(answer) == (1, 0, 1, 4)
    assert [(one.row, one.code, one.column) for one in answer.errors] == [
        (2, "invalid_phone", "phone"),
        (3, "invalid_email", "email"),
        (4, "validation_failed", ""),
        (7, "validation_failed", "reason"),
    ]
    assert [one.phone for one in await entries(book)] == ["+14155552672"]


async def test_an_entry_is_widened_and_never_narrowed(book, upload, admin, account):
    some = await suppress(book, phone="+14155552671", channels=[pb.CHANNEL_SMS], reason="first")
    everything = await suppress(book, phone="+14155552672")
    file = b"phone\n+14155552671\n+14155552672\n"
    assert counts(await upload(file, channels=[pb.CHANNEL_SMS])) == (0, 0, 2, 0)
    assert counts(await upload(file, channels=[pb.CHANNEL_VOICE])) == (0, 1, 1, 0)
    first, second = await entries(book)
    assert (first.id, first.reason, list(first.channels)) == (some.id, "first", [pb.CHANNEL_SMS, pb.CHANNEL_VOICE])
    assert second == everything
    assert counts(await upload(file)) == (0, 1, 1, 0)
    assert [list(one.channels) for one in await entries(book)] == [[], []]
    kinds = [kind for kind, _, _ in await outbox(admin, account)]
    assert kinds == ["suppression.created"] * 2 + ["suppression.updated"] * 2


async def test_a_long_file_is_taken_in_batches(book, upload, admin, account):
    """More than one statement of staging and of taking, duplicates across them."""
    rows = "".join(f"+1415{number % 1200:07d}\n" for number in range(1700))
    assert counts(await upload(b"phone\n" + rows.encode(), piece=65536)) == (1200, 0, 500, 0)
    assert await admin.fetchval("SELECT count(*) FROM suppressions WHERE account_id = $1", account) == 1200
    told = [len(message.suppressions) for _, _, message in await outbox(admin, account)]
    assert (sum(told), max(told)) == (1200, 500)
    assert await admin.fetchval("SELECT count(*) FROM suppression_uploads WHERE account_id = $1", account) == 0


@pytest.mark.parametrize(
    ("data", "options", "reason"),
    [
        (b"", {}, Reason.FILE_EMPTY),
        (b"phone\n", {}, Reason.FILE_EMPTY),
        (b"name,code\nAda,1\n", {}, Reason.UNKNOWN_COLUMNS),
        (b"\x00\x01\x02\x03", {}, Reason.FILE_UNREADABLE),
        (FILE, {"default_region": "ZZ"}, Reason.VALIDATION_FAILED),
        (FILE, {"channels": [99]}, Reason.VALIDATION_FAILED),
        (FILE, {"reason": "x" * 501}, Reason.VALIDATION_FAILED),
        (b"phone\n" + (b"+" * 100_000 + b"\n") * 90, {}, Reason.PAYLOAD_TOO_LARGE),
    ],
    ids=["nothing", "no rows", "no address", "no text", "region", "channel", "reason", "too large"],
)
async def test_what_is_refused_leaves_nothing(book, upload, admin, account, data, options, reason):
    with pytest.raises(CarillonError) as caught:
        await upload(data, piece=262_144, **options)
    assert caught.value.reason == reason
    assert await entries(book) == []
    assert await admin.fetchval("SELECT count(*) FROM suppression_uploads WHERE account_id = $1", account) == 0


async def test_two_accounts_never_meet(book, other_book, upload):
    await upload(FILE)
    assert await entries(other_book) == []
    methods = uploads_pb2.DESCRIPTOR.services_by_name["SuppressionUploadsService"].methods
    assert [method.name for method in methods] == ["UploadSuppressions"]


async def test_an_upload_that_breaks_off_leaves_nothing(book, upload):
    with pytest.raises(CarillonError) as caught:
        await upload(FILE, end=False)
    assert caught.value.reason == Reason.UPLOAD_INCOMPLETE
    assert await entries(book) == []


async def test_an_idempotency_key_stands_for_the_file_s_bytes(book, upload):
    first = await upload(FILE, idempotency=("k", b"f"))
    for entry in await entries(book):
        await book.call("DeleteSuppression", pb.DeleteSuppressionRequest(id=entry.id))
    assert await upload(FILE, idempotency=("k", b"f")) == first
    assert await entries(book) == []
    with pytest.raises(FailedPrecondition) as caught:
        await upload(FILE + b"+14155552679,,,\n", idempotency=("k", b"f"))
    assert caught.value.reason == Reason.IDEMPOTENCY_KEY_REUSED


async def test_what_a_killed_process_staged_is_cleaned_away(work_db, admin, account):
    stage = """
        INSERT INTO suppression_uploads (account_id, upload_id, address, id, reason, created_at)
        VALUES ($1, $1, $2, $1, '', now() - $3::interval)
    """
    for address, age in (("+1", "25 hours"), ("+2", "23 hours")):
        await admin.execute(stage.replace("$3", f"'{age}'"), account, address)
    await Cleaner(work_db).run_once()
    left = await admin.fetch("SELECT address FROM suppression_uploads WHERE account_id = $1", account)
    assert [row[0] for row in left] == ["+2"]
