"""The contacts service in this process, on a real Postgres: gRPC server, clients of two accounts, import worker."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from carillon.contacts.v1 import (
    activity_pb2,
    activity_pb2_grpc,
    audiences_pb2,
    bulk_pb2,
    bulk_pb2_grpc,
    consent_pb2,
    consent_pb2_grpc,
    exports_pb2,
    exports_pb2_grpc,
    imports_pb2,
    lists_pb2,
    lists_pb2_grpc,
    replies_pb2,
    replies_pb2_grpc,
    suppression_uploads_pb2,
)
from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from carillon.contacts.v1.imports_pb2_grpc import ImportsServiceStub
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from services.contacts.activity.service import ActivityService
from services.contacts.activity.servicer import ActivityServicer
from services.contacts.audiences.service import AudienceService
from services.contacts.audiences.servicer import AudiencesServicer
from services.contacts.batch.service import BatchService
from services.contacts.bulk.service import BulkService
from services.contacts.bulk.servicer import BulkServicer
from services.contacts.bulk.work import BulkWorker
from services.contacts.consent.service import ConsentService
from services.contacts.consent.servicer import ConsentServicer
from services.contacts.erasure.hashing import AddressHash
from services.contacts.exports.contents import Contents
from services.contacts.exports.job import ExportWorker
from services.contacts.exports.peers import Campaigns, Segments
from services.contacts.exports.service import ExportService
from services.contacts.exports.servicer import ExportsServicer
from services.contacts.imports.job import ImportWorker
from services.contacts.imports.lifecycle import ImportLifecycle
from services.contacts.imports.service import ImportService
from services.contacts.imports.servicer import ImportsServicer
from services.contacts.imports.undo_job import UndoWorker
from services.contacts.listing.requests import read_filter
from services.contacts.listing.service import ListingService
from services.contacts.lists.service import ListService
from services.contacts.lists.servicer import ListsServicer
from services.contacts.replies.service import ReplyService
from services.contacts.replies.servicer import RepliesServicer
from services.contacts.service import ContactService
from services.contacts.servicer import ContactsServicer
from services.contacts.streaming import StreamService
from services.contacts.suppressions.service import SuppressionService
from services.contacts.suppressions.servicer import SuppressionUploadsServicer
from services.contacts.suppressions.upload import SuppressionUploads
from tests.service.contacts.address_book import AddressBook
from tests.service.contacts.export_desk import ExportDesk
from tests.service.contacts.export_peers import ExportPeers
from tests.service.contacts.import_desk import ImportDesk
from tests.service.contacts.list_book import BulkChanges, ListBook

ERASURE_KEY = b64encode(b"e" * 32).decode()
# Small, so that a test reaches it.
UPLOAD_LIMIT_BYTES = 8 * 1024 * 1024
# Contacts that a change reaches at once, and in a chunk of a job.
AT_ONCE = 10


@pytest_asyncio.fixture(scope="package")
async def urls(make_database):
    return await make_database("contacts")


@pytest_asyncio.fixture(scope="package")
async def serve_db(urls) -> AsyncIterator[Database]:
    db = await Database.open(urls.serve, pool_size=10, name="contacts")
    yield db
    await db.stop()


@pytest_asyncio.fixture(scope="package")
async def work_db(urls) -> AsyncIterator[Database]:
    db = await Database.open(urls.work, pool_size=10, name="contacts-work")
    yield db
    await db.stop()


@pytest_asyncio.fixture(scope="package")
async def server(serve_db, keys) -> AsyncIterator[Server]:
    imports = ImportService(serve_db, lambda: None, limit_bytes=UPLOAD_LIMIT_BYTES)
    hashes = AddressHash(ERASURE_KEY)
    servicer = ContactsServicer(
        ContactService(serve_db, hashes),
        imports,
        listing=ListingService(serve_db),
        suppressions=SuppressionService(serve_db, hashes),
        streams=StreamService(serve_db),
    )
    running = Server("127.0.0.1:0", keys.verifier("contacts"))
    running.add(pb.DESCRIPTOR.services_by_name["ContactsService"], servicer)
    lists = ListsServicer(ListService(serve_db, lambda: None, removed_at_once=AT_ONCE))
    running.add(lists_pb2.DESCRIPTOR.services_by_name["ListsService"], lists)
    changes = BulkService(serve_db, lambda: None, changed_at_once=AT_ONCE)
    bulk = BulkServicer(changes, BatchService(serve_db), read_filter=read_filter)
    running.add(bulk_pb2.DESCRIPTOR.services_by_name["BulkService"], bulk)
    activity = ActivityServicer(ActivityService(serve_db))
    running.add(activity_pb2.DESCRIPTOR.services_by_name["ActivityService"], activity)
    running.add(
        audiences_pb2.DESCRIPTOR.services_by_name["AudiencesService"], AudiencesServicer(AudienceService(serve_db))
    )
    consent = ConsentService(serve_db, hashes)
    running.add(consent_pb2.DESCRIPTOR.services_by_name["ConsentService"], ConsentServicer(consent))
    replies = RepliesServicer(ReplyService(serve_db, consent, hashes))
    running.add(replies_pb2.DESCRIPTOR.services_by_name["RepliesService"], replies)
    running.add(
        imports_pb2.DESCRIPTOR.services_by_name["ImportsService"],
        ImportsServicer(ImportLifecycle(serve_db, lambda: None)),
    )
    exports = ExportsServicer(ExportService(serve_db, lambda: None, read_filter=read_filter))
    running.add(exports_pb2.DESCRIPTOR.services_by_name["ExportsService"], exports)
    uploads = SuppressionUploadsServicer(SuppressionUploads(serve_db, limit_bytes=UPLOAD_LIMIT_BYTES))
    running.add(suppression_uploads_pb2.DESCRIPTOR.services_by_name["SuppressionUploadsService"], uploads)
    await running.start()
    yield running
    await running.stop()


@pytest_asyncio.fixture(scope="package")
async def client(server, keys) -> AsyncIterator[Client]:
    gateway = Client(
        f"127.0.0.1:{server.port}", rpc.ContactsServiceStub, audience="contacts", signer=keys.signer("gateway")
    )
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def lists_client(server, keys) -> AsyncIterator[Client]:
    gateway = Client(
        f"127.0.0.1:{server.port}", lists_pb2_grpc.ListsServiceStub, audience="contacts", signer=keys.signer("gateway")
    )
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def bulk_client(server, keys) -> AsyncIterator[Client]:
    gateway = Client(
        f"127.0.0.1:{server.port}", bulk_pb2_grpc.BulkServiceStub, audience="contacts", signer=keys.signer("gateway")
    )
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def imports_client(server, keys) -> AsyncIterator[Client]:
    gateway = Client(f"127.0.0.1:{server.port}", ImportsServiceStub, audience="contacts", signer=keys.signer("gateway"))
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def exports_client(server, keys) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{server.port}"
    gateway = Client(target, exports_pb2_grpc.ExportsServiceStub, audience="contacts", signer=keys.signer("gateway"))
    yield gateway
    await gateway.stop()


@pytest.fixture
def exports(exports_client, account) -> ExportDesk:
    return ExportDesk(exports_client, account)


@pytest.fixture
def other_exports(exports_client, other) -> ExportDesk:
    return ExportDesk(exports_client, other)


@pytest_asyncio.fixture(scope="package")
async def export_peers() -> ExportPeers:
    return ExportPeers()


@pytest_asyncio.fixture(scope="package")
async def peers(export_peers, keys) -> AsyncIterator[tuple[Segments, Campaigns]]:
    """What contacts asks for exports, with the test's own servers behind it."""
    async with export_peers.serving(keys) as found:
        yield found


@pytest_asyncio.fixture
async def export_worker(work_db, peers) -> AsyncIterator[ExportWorker]:
    """Small batches and pieces; no export of another test is among the work."""
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM exports WHERE status IN ('queued', 'running')")
    segments, campaigns = peers
    contents = Contents(work_db, read_filter=read_filter, segments=segments, campaigns=campaigns, batch_contacts=10)
    yield ExportWorker(work_db, asyncio.Event(), contents=contents, chunk_bytes=2_000)


@pytest.fixture
def lists(lists_client, account) -> ListBook:
    return ListBook(lists_client, account)


@pytest.fixture
def other_lists(lists_client, other) -> ListBook:
    return ListBook(lists_client, other)


@pytest.fixture
def bulk(bulk_client, account) -> BulkChanges:
    return BulkChanges(bulk_client, account)


@pytest.fixture
def other_bulk(bulk_client, other) -> BulkChanges:
    return BulkChanges(bulk_client, other)


@pytest_asyncio.fixture
async def bulk_worker(work_db) -> AsyncIterator[BulkWorker]:
    """Small chunks; no job of another test is among the work, and none is left."""
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM bulk_jobs WHERE account_id IS NOT NULL")
    yield BulkWorker(work_db, asyncio.Event(), read_filter=read_filter, chunk_contacts=AT_ONCE)


@pytest.fixture
def undoer(work_db) -> UndoWorker:
    return UndoWorker(work_db, asyncio.Event(), AddressHash(ERASURE_KEY))


@pytest.fixture
def desk(imports_client, account) -> ImportDesk:
    return ImportDesk(imports_client, account)


@pytest.fixture
def other_desk(imports_client, other) -> ImportDesk:
    return ImportDesk(imports_client, other)


@pytest.fixture
def book(client, account) -> AddressBook:
    return AddressBook(client, account)


@pytest.fixture
def other_book(client, other) -> AddressBook:
    return AddressBook(client, other)


@pytest_asyncio.fixture(scope="package")
async def consent_client(server, keys) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{server.port}"
    gateway = Client(target, consent_pb2_grpc.ConsentServiceStub, audience="contacts", signer=keys.signer("gateway"))
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def activity_client(server, keys) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{server.port}"
    gateway = Client(target, activity_pb2_grpc.ActivityServiceStub, audience="contacts", signer=keys.signer("gateway"))
    yield gateway
    await gateway.stop()


@pytest_asyncio.fixture(scope="package")
async def replies_client(server, keys) -> AsyncIterator[Client]:
    target = f"127.0.0.1:{server.port}"
    made = Client(target, replies_pb2_grpc.RepliesServiceStub, audience="contacts", signer=keys.signer("campaigns"))
    yield made
    await made.stop()


@pytest.fixture
def worker(work_db) -> ImportWorker:
    """Chunks of 100 rows, so that small files have several."""
    return ImportWorker(work_db, asyncio.Event(), chunk_records=100)


@pytest_asyncio.fixture(autouse=True)
async def no_import_left_open(work_db) -> AsyncIterator[None]:
    """Workers take the oldest import of any account: another test's must not be among them."""
    yield
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM imports WHERE status IN ('uploaded', 'queued', 'running', 'undoing')")


@pytest_asyncio.fixture
async def admin(urls) -> AsyncIterator[asyncpg.Connection]:
    """Past every policy: to look, and to set up what no call can."""
    connection = await asyncpg.connect(urls.admin)
    yield connection
    await connection.close()
