"""No account sees another's rows, whatever is called, and a query that forgets the account sees nothing."""

import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from carillon.contacts.v1 import imports_pb2
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import CarillonError, NotFound, PermissionDenied
from chassis.grpc_client import Client
from services.contacts import tables
from services.contacts.imports.files import Upload
from services.contacts.search import entries
from services.contacts.search.entries import Entry
from tests.service.contacts.address_book import patch

PHONE = "+14155552671"

# What is known of a contact beside its row.
HISTORY = (
    "INSERT INTO suppression_uploads (account_id, upload_id, address, id, reason) VALUES ($1, $1, '+1', $1, '')",
    "INSERT INTO consents (account_id, contact_id, id, channel, before, after, source, text, actor, at) "
    "VALUES ($1, $1, $1, 'sms', 'unknown', 'opted_in', 'form', '', 'key', now())",
    "INSERT INTO optouts (account_id, contact_id, channel, opted_out_at) VALUES ($1, $1, 'sms', now())",
    "INSERT INTO consent_rules (account_id, updated_at) VALUES ($1, now())",
    "INSERT INTO activity (account_id, contact_id, at, id, type, text, actor) "
    "VALUES ($1, $1, now(), $1, 'agent.note', '', 'key')",
    "INSERT INTO messages (account_id, contact_id, id, campaign_id, channel, address, status, reason, state_revision) "
    "VALUES ($1, $1, $1, $1, 'sms', '+14155552671', 'sent', '', 1)",
)


async def fill(book, serve_db) -> dict[str, str]:
    """A row in every table of the account; the ids of what can be asked for."""
    made = (await book.create(phone=PHONE, email="a@example.org", external_id="x", tags=["t"])).contact
    gone = (await book.create(phone="+14155552672")).contact
    async with serve_db.write(book.account) as tx:
        await tx.execute(
            "INSERT INTO consents (account_id, contact_id, id, channel, before, after, source, text, actor, at) "
            "SELECT account_id, id, id, 'sms', 'unknown', 'opted_in', 'form', '', 'key', now() FROM contacts "
            "WHERE phone = '+14155552672'"
        )
    await book.delete(gone.id)
    entry = await book.call("CreateSuppression", pb.CreateSuppressionRequest(phone=PHONE))
    job = await book.upload(b"phone\n1\n")
    await book.call(
        "CreateContact", pb.CreateContactRequest(contact=patch(email="k@example.org")), idempotency=("k", b"")
    )
    async with serve_db.write(book.account) as tx:
        await tx.execute(
            "INSERT INTO lists (account_id, id, name, created_at, updated_at) "
            "SELECT account_id, id, 'l', now(), now() FROM contacts LIMIT 1"
        )
        await tx.execute(
            "INSERT INTO contact_lists (account_id, list_id, contact_id, added_at) "
            "SELECT account_id, id, id, now() FROM lists"
        )
        await tx.execute(
            "INSERT INTO bulk_jobs (account_id, id, change, of_list, created_at, due_at) "
            "SELECT account_id, id, '{}', id, now(), 'infinity' FROM lists"
        )
        await tx.execute(
            "INSERT INTO exports (account_id, id, resource, format, request, file_id, status, created_at) "
            "SELECT account_id, id, 'contacts', 'csv', '', id, 'completed', now() FROM lists"
        )
        for statement in HISTORY:
            await tx.execute(statement, book.account)
        await entries.keep(tx, book.account, [Entry(ids.new(), 1, " ann")])
        import_id = await tx.fetchval("SELECT id FROM imports")
        await tx.execute(
            "INSERT INTO import_errors (account_id, import_id, row, code, reason) VALUES ($1, $2, 2, 'c', 'r')",
            book.account,
            import_id,
        )
        await tx.execute(
            "INSERT INTO import_updates (account_id, import_id, contact_id, version) VALUES ($1, $2, $2, 2)",
            book.account,
            import_id,
        )
        await tx.execute(
            "INSERT INTO replies (account_id, contact_id, id, at, channel, address, to_address, text) "
            "SELECT account_id, id, id, now(), 'sms', '+1', '+2', 'hi' FROM contacts LIMIT 1"
        )
    return {"contact": made.id, "suppression": entry.suppression.id, "import": job.id}


async def test_imports_of_two_accounts_never_meet(book, desk, other_desk, serve_db):
    mine = await fill(book, serve_db)
    unknown = [
        ("CommitImport", imports_pb2.CommitImportRequest(id=mine["import"])),
        ("CancelImport", imports_pb2.CancelImportRequest(id=mine["import"])),
        ("ListImportErrors", imports_pb2.ListImportErrorsRequest(id=mine["import"])),
        ("UndoImport", imports_pb2.UndoImportRequest(id=mine["import"])),
        ("ListImportLeftovers", imports_pb2.ListImportLeftoversRequest(id=mine["import"])),
    ]
    before = await book.progress(mine["import"])
    for method, request in unknown:
        with pytest.raises(NotFound):
            await other_desk.call(method, request)
    assert not (await other_desk.call("ListImports", imports_pb2.ListImportsRequest())).imports
    assert await book.progress(mine["import"]) == before
    covered = {method for method, _ in unknown} | {"ListImports"}
    assert covered == {method.name for method in imports_pb2.DESCRIPTOR.services_by_name["ImportsService"].methods}


async def test_two_accounts_never_meet(book, other_book, serve_db):
    mine = await fill(book, serve_db)
    unknown = [
        ("GetContact", pb.GetContactRequest(id=mine["contact"])),
        ("UpdateContact", pb.UpdateContactRequest(id=mine["contact"], patch=patch(stage="x"))),
        ("DeleteContact", pb.DeleteContactRequest(id=mine["contact"])),
        ("LookupContact", pb.LookupContactRequest(phone=PHONE)),
        ("LookupContact", pb.LookupContactRequest(email="a@example.org")),
        ("LookupContact", pb.LookupContactRequest(external_id="x")),
        ("AddTags", pb.AddTagsRequest(id=mine["contact"], tags=["y"])),
        ("RemoveTag", pb.RemoveTagRequest(id=mine["contact"], tag="t")),
        ("GetImport", pb.GetImportRequest(id=mine["import"])),
        ("DeleteSuppression", pb.DeleteSuppressionRequest(id=mine["suppression"])),
    ]
    for method, request in unknown:
        with pytest.raises(NotFound):
            await other_book.call(method, request)
    before = await book.get(mine["contact"])
    assert await other_book.all() == []
    assert not (await other_book.page(tag="t")).contacts
    assert not (await other_book.call("ListSuppressions", pb.ListSuppressionsRequest())).suppressions
    answer = await other_book.call("BulkDeleteContacts", pb.BulkDeleteContactsRequest(ids=[mine["contact"]]))
    assert (answer.deleted, list(answer.not_found)) == (0, [mine["contact"]])
    asked = pb.CheckMessageableRequest(
        channel=pb.CHANNEL_SMS, targets=[pb.Target(address=PHONE), pb.Target(contact_id=mine["contact"], address=PHONE)]
    )
    assert list((await other_book.call("CheckMessageable", asked)).refusals) == [
        pb.REFUSAL_UNSPECIFIED,
        pb.REFUSAL_ADDRESS_GONE,
    ]
    # The same keys are free in the other account, the idempotency key among them.
    theirs = await fill(other_book, serve_db)
    assert theirs["contact"] != mine["contact"]
    cursor = (await book.page(page_size=1)).next_cursor
    with pytest.raises(CarillonError):
        await other_book.page(page_size=1, cursor=cursor)
    assert await book.get(mine["contact"]) == before
    covered = {method for method, _ in unknown} | {
        "CreateContact", "ListContacts", "BulkDeleteContacts", "CreateImport", "CreateSuppression",
        "ListSuppressions", "CheckMessageable",
        # test_streaming.py
        "StreamContacts",
    }  # fmt: skip
    assert covered == {method.name for method in pb.DESCRIPTOR.services_by_name["ContactsService"].methods}


async def test_a_query_that_forgets_the_account_sees_nothing(book, other, serve_db):
    await fill(book, serve_db)
    async with serve_db.across() as nobody, serve_db.read(other) as somebody:
        for table in tables.PROTECTED:
            for tx in (nobody, somebody):
                assert await tx.fetchval(f"SELECT count(*) FROM {table.name}") == 0, table.name
    async with serve_db.read(book.account) as owner:
        for table in tables.PROTECTED:
            assert await owner.fetchval(f"SELECT count(*) FROM {table.name}") > 0, table.name


async def test_rows_cannot_be_written_into_another_account(account, other, serve_db):
    stranger = Upload(serve_db, other)
    with pytest.raises(Exception, match="row-level security"):
        async with serve_db.write(account) as tx:
            await tx.execute(
                "INSERT INTO files (account_id, id, touched_at) VALUES ($1, $2, now())", other, stranger.file_id
            )


async def test_only_the_services_named_may_call(server, keys, account):
    segments = Client(
        f"127.0.0.1:{server.port}", rpc.ContactsServiceStub, audience="contacts", signer=keys.signer("segments")
    )
    try:
        with pytest.raises(PermissionDenied):
            await segments.unary(
                segments.stub.CreateContact,
                pb.CreateContactRequest(contact=patch(phone=PHONE)),
                call=Outgoing(account),
                timeout=5,
            )
    finally:
        await segments.stop()
