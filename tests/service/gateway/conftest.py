"""The gateway as it runs (granian, FastAPI, Postgres), in front of fake services."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest_asyncio
from cryptography.fernet import Fernet
from pydantic import SecretStr

from carillon.campaigns.v1 import campaigns_pb2
from carillon.contacts.v1 import (
    activity_pb2,
    bulk_pb2,
    consent_pb2,
    contacts_pb2,
    exports_pb2,
    imports_pb2,
    lists_pb2,
    suppression_uploads_pb2,
)
from carillon.segments.v1 import segments_pb2
from chassis import grpc_server, ids
from chassis.db import Database
from chassis.ids import AccountId
from chassis.sealing import Sealer
from deploy.local import databases
from services.gateway import api, app, backends, service
from services.gateway.config import GatewaySettings
from services.gateway.cursors import CursorSeal
from services.gateway.server import HttpServer
from services.gateway.service import NewAccount
from tests.service import stack
from tests.service.gateway.fakes import FakeService

UPLOAD_LIMIT = 4 << 20
# The one whose pages may call.
ORIGIN = "https://app.example"
SECRETS_KEY = Fernet.generate_key().decode()


@dataclass
class Answered:
    status: int
    headers: Any
    body: Any

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self.headers
        assert self.body["status"] == self.status
        return str(self.body["code"])


@dataclass
class Gateway:
    url: str
    contacts: FakeService
    consent: FakeService
    activity: FakeService
    lists: FakeService
    suppression_uploads: FakeService
    bulk: FakeService
    imports: FakeService
    exports: FakeService
    segments: FakeService
    campaigns: FakeService
    work: Database
    account: NewAccount
    http: aiohttp.ClientSession
    parts: api.Parts
    settings: GatewaySettings

    def cursor(self, own: str) -> str:
        """A service's cursor as the client has it."""
        return CursorSeal(Sealer(self.settings.secrets_keys.get_secret_value())).seal(self.account_id, own)

    @property
    def account_id(self) -> AccountId:
        found = ids.decode_account(self.account.account_id)
        assert found is not None
        return found

    async def call(self, method: str, path: str, *, key: str | None = "", **more: Any) -> Answered:
        """key: of the account where it is empty, none where it is None."""
        headers = dict(more.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.account.key}")
        async with self.http.request(method, self.url + path, headers=headers, **more) as answer:
            raw = await answer.read()
            is_json = answer.headers.get("content-type", "").partition(";")[0].endswith("json")
            return Answered(
                answer.status, answer.headers, await answer.json(content_type=None) if is_json and raw else raw
            )


@pytest_asyncio.fixture(scope="package")
async def gateway_urls(make_database: Callable[[str], Awaitable[databases.Urls]]) -> databases.Urls:
    return await make_database("gateway")


def fake(module: Any, name: str) -> FakeService:
    return FakeService(module.DESCRIPTOR.services_by_name[name])


@pytest_asyncio.fixture(scope="package")
async def running(gateway_urls: databases.Urls, keys: stack.Keys) -> AsyncIterator[Gateway]:
    fakes = {
        "contacts": fake(contacts_pb2, "ContactsService"),
        "segments": fake(segments_pb2, "SegmentsService"),
        "campaigns": fake(campaigns_pb2, "CampaignsService"),
    }
    # Of the contacts service too.
    nouns = {
        "consent": fake(consent_pb2, "ConsentService"),
        "activity": fake(activity_pb2, "ActivityService"),
        "exports": fake(exports_pb2, "ExportsService"),
        "suppression_uploads": fake(suppression_uploads_pb2, "SuppressionUploadsService"),
        "lists": fake(lists_pb2, "ListsService"),
        "bulk": fake(bulk_pb2, "BulkService"),
        "imports": fake(imports_pb2, "ImportsService"),
    }
    servers = {name: grpc_server.Server("127.0.0.1:0", keys.verifier(name)) for name in fakes}
    for name, server in servers.items():
        server.add(fakes[name].descriptor, fakes[name])
        for noun in nouns.values() if name == "contacts" else ():
            server.add(noun.descriptor, noun)
        await server.start()
    bind = f"127.0.0.1:{stack.free_port()}"
    targets: dict[str, Any] = {f"{name}_target": f"127.0.0.1:{server.port}" for name, server in servers.items()}
    settings = GatewaySettings(
        database_url=gateway_urls.serve,
        http_bind=bind,
        public_url=f"http://{bind}",
        token_private_key=keys.private["gateway"],
        token_public_keys=keys.public,
        upload_limit_bytes=UPLOAD_LIMIT,
        import_wait_seconds=0.3,
        call_timeout_seconds=2.0,
        # No cache, so that a test sees at once what it wrote; the cache has unit tests.
        key_cache_seconds=0.0,
        cors_origins=ORIGIN,
        secrets_keys=SecretStr(SECRETS_KEY),
        webhook_private_addresses=True,
        **targets,
    )
    serve, work = await Database.open(gateway_urls.serve), await Database.open(gateway_urls.work)
    behind = backends.connect(settings)
    stopping = asyncio.Event()
    parts = app.assembled(settings, serve, backends=behind, ready=serve.ping, stopping=stopping)
    http = HttpServer(api.connected(settings, parts), bind=bind, stopping=stopping)
    await http.start()
    account = await service.create_account(work, "Test", scopes=["admin"])
    async with aiohttp.ClientSession() as session:
        yield Gateway(
            f"http://{bind}",
            **fakes,
            **nouns,
            work=work,
            account=account,
            http=session,
            parts=parts,
            settings=settings,
        )
    await http.stop()
    await behind.stop()
    for server in servers.values():
        await server.stop()
    await serve.stop()
    await work.stop()


@pytest_asyncio.fixture
async def gateway(running: Gateway) -> Gateway:
    for one in vars(running).values():
        if isinstance(one, FakeService):
            one.clear()
    return running
