"""The contacts service in this process, on a real Postgres: gRPC server, clients of two accounts, import worker."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc
from chassis.db import Database
from chassis.grpc_client import Client
from chassis.grpc_server import Server
from services.contacts.imports.job import ImportWorker
from services.contacts.imports.service import ImportService
from services.contacts.service import ContactService
from services.contacts.servicer import ContactsServicer
from services.contacts.suppressions.service import SuppressionService
from tests.service.contacts.address_book import AddressBook

# Small, so that a test reaches it.
UPLOAD_LIMIT_BYTES = 8 * 1024 * 1024


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
    servicer = ContactsServicer(ContactService(serve_db), imports, suppressions=SuppressionService(serve_db))
    running = Server("127.0.0.1:0", keys.verifier("contacts"))
    running.add(pb.DESCRIPTOR.services_by_name["ContactsService"], servicer)
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


@pytest.fixture
def book(client, account) -> AddressBook:
    return AddressBook(client, account)


@pytest.fixture
def other_book(client, other) -> AddressBook:
    return AddressBook(client, other)


@pytest.fixture
def worker(work_db) -> ImportWorker:
    """Chunks of 100 rows, so that small files have several."""
    return ImportWorker(work_db, asyncio.Event(), chunk_records=100)


@pytest_asyncio.fixture(autouse=True)
async def no_import_left_open(work_db) -> AsyncIterator[None]:
    """Workers take the oldest import of any account: another test's must not be among them."""
    yield
    async with work_db.across() as tx:
        await tx.execute("DELETE FROM imports WHERE status IN ('queued', 'running')")


@pytest_asyncio.fixture
async def admin(urls) -> AsyncIterator[asyncpg.Connection]:
    """Past every policy: to look, and to set up what no call can."""
    connection = await asyncpg.connect(urls.admin)
    yield connection
    await connection.close()
