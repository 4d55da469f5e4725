"""The contacts service as segments compares itself with it, replaced at the stub: what it has, told of or not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from chassis import ids
from chassis.call import Call
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from chassis.ids import AccountId
from services.segments.contacts_source import ContactsSource
from services.segments.evaluation import Evaluator
from tests.service.gateway.fakes import FakeService
from tests.service.segments.world import changes, contact, deletions, deliver
from tests.service.stack import Keys

# Whose event should have come.
LONG_AGO = timedelta(hours=3)


class There:
    """One account's contacts. Other accounts have none."""

    def __init__(self, account: AccountId) -> None:
        self.account = account
        self.contacts: dict[str, pb.Contact] = {}
        self.tombstones: dict[str, pb.Tombstone] = {}
        # Ids behind which contacts were asked for.
        self.asked: list[str] = []
        # Pages that are answered; those behind them wait until it is open again.
        self.pages = 1_000_000
        self.open = asyncio.Event()

    def add(self, *, ago: timedelta = LONG_AGO, **fields) -> pb.Contact:
        return self.write(contact(**fields), ago=ago)

    def write(self, one: pb.Contact, *, ago: timedelta = LONG_AGO) -> pb.Contact:
        one.updated_at.FromDatetime(datetime.now(UTC) - ago)
        self.contacts[one.id] = one
        return one

    def change(self, one: pb.Contact, *, ago: timedelta = LONG_AGO, **fields) -> pb.Contact:
        """Some fields anew, at the next version."""
        changed = pb.Contact()
        changed.CopyFrom(one)
        for name in fields:
            changed.ClearField(name)  # type: ignore[arg-type]  # a field's name
        changed.MergeFrom(pb.Contact(version=one.version + 1, **fields))
        return self.write(changed, ago=ago)

    def delete(self, one: pb.Contact, *, ago: timedelta = LONG_AGO) -> None:
        del self.contacts[one.id]
        gone = pb.Tombstone(id=one.id, version=one.version + 1)
        gone.deleted_at.FromDatetime(datetime.now(UTC) - ago)
        self.tombstones[one.id] = gone

    @rpc(admits={"segments"})
    async def stream(self, call: Call, request: pb.StreamContactsRequest) -> AsyncIterator[pb.StreamContactsResponse]:
        if call.account != self.account:
            return
        if request.ids:
            wanted = [self.contacts[one] for one in sorted(request.ids) if one in self.contacts]
            gone = [self.tombstones[one] for one in request.ids if one in self.tombstones]
            yield pb.StreamContactsResponse(contacts=wanted, tombstones=gone)
            return
        self.asked.append(request.after_id)
        if self.pages <= 0:
            await self.open.wait()
        self.pages -= 1
        behind = sorted(one for one in self.contacts if one > request.after_id)
        page = [self.contacts[one] for one in behind[: request.limit]]
        if request.versions_only:
            page = [pb.Contact(id=one.id, version=one.version, updated_at=one.updated_at) for one in page]
        yield pb.StreamContactsResponse(contacts=page)

    @asynccontextmanager
    async def serving(self, keys: Keys) -> AsyncIterator[str]:
        """Where it can be reached."""
        fake = FakeService(pb.DESCRIPTOR.services_by_name["ContactsService"], admits={"segments"})
        fake.StreamContacts = self.stream  # type: ignore[attr-defined]
        server = Server("127.0.0.1:0", keys.verifier("contacts"))
        server.add(fake.descriptor, fake)
        await server.start()
        try:
            yield f"127.0.0.1:{server.port}"
        finally:
            self.open.set()
            await server.stop()

    async def tell(self, evaluator: Evaluator, *told: pb.Contact) -> None:
        """By events that come at once."""
        for start in range(0, len(told), 500):
            await deliver(evaluator, self.account, "contact.created", changes(*told[start : start + 500]), bulk=True)

    async def tell_deleted(self, evaluator: Evaluator, one: pb.Contact) -> None:
        await deliver(evaluator, self.account, "contact.deleted", deletions(one))


@asynccontextmanager
async def source(target: str, keys: Keys) -> AsyncIterator[ContactsSource]:
    client = Client(target, ContactsServiceStub, audience="contacts", signer=keys.signer("segments"))
    yield ContactsSource(client)
    await client.stop()


def unknown_contact() -> str:
    return ids.encode("cnt", ids.new())
