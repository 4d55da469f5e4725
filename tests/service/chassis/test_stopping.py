"""A server that stops takes nothing away: who watches its health leaves it, what began ends, what comes is sent on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as stubs
from chassis import grpc_server
from chassis.call import Call, Outgoing
from chassis.errors import Unavailable
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from chassis.ids import AccountId
from tests.service import stack
from tests.service.stack import eventually

SERVICE = pb.DESCRIPTOR.services_by_name["ContactsService"]
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
Contacts = Client[stubs.ContactsServiceStub]


class Replica:
    """Answers with its own name. A call for `slow` is answered when the test says so."""

    def __init__(self, name: str, keys: stack.Keys) -> None:
        self.name = name
        self.calls = 0
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()
        self.server = Server("127.0.0.1:0", keys.verifier("contacts"))
        self.server.add(SERVICE, self)

    def __getattr__(self, name: str) -> object:
        if name not in SERVICE.methods_by_name:
            raise AttributeError(name)

        @rpc(admits={"gateway"})
        async def absent(call: Call, request: object) -> None: ...

        return absent

    @rpc(admits={"gateway"})
    async def GetContact(self, call: Call, request: pb.GetContactRequest) -> pb.GetContactResponse:
        self.calls += 1
        if request.id == "slow":
            self.arrived.set()
            await self.go_on.wait()
        return pb.GetContactResponse(contact=pb.Contact(id=self.name))


@asynccontextmanager
async def replicas(keys: stack.Keys, count: int) -> AsyncIterator[tuple[list[Replica], Contacts]]:
    """With a client that knows all of them."""
    made = [Replica(f"{number}", keys) for number in range(count)]
    for replica in made:
        await replica.server.start()
    target = "ipv4:" + ",".join(f"127.0.0.1:{replica.server.port}" for replica in made)
    client = Client(target, stubs.ContactsServiceStub, audience="contacts", signer=keys.signer("gateway"))
    try:
        yield made, client
    finally:
        await client.stop()
        for replica in made:
            replica.go_on.set()
            await replica.server.stop()


async def ask(client: Contacts, account: AccountId, name: str = "x", *, timeout: float = 5.0) -> str:
    """Who answered. As a write: nothing is repeated that may have been begun."""
    response = await client.unary(
        client.stub.GetContact, pb.GetContactRequest(id=name), call=Outgoing(account), timeout=timeout
    )
    return response.contact.id


async def all_answer(client: Contacts, account: AccountId, count: int) -> None:
    async def probe() -> bool:
        return len({await ask(client, account) for _ in range(2 * count)}) == count

    await eventually(probe)


async def test_calls_go_to_all_who_serve_and_not_to_one_who_leaves(keys: stack.Keys, account: AccountId) -> None:
    async with replicas(keys, 2) as ((leaver, _), client):
        await all_answer(client, account, 2)
        leaver.server.leave()

        async def gone() -> bool:
            return {await ask(client, account) for _ in range(6)} == {"1"}

        await eventually(gone)


async def test_who_leaves_serves_those_who_come_all_the_same(keys: stack.Keys, account: AccountId) -> None:
    async with replicas(keys, 1) as ((only,), _):
        only.server.leave()
        # As one who has not heard of it yet: this channel does not watch health.
        async with grpc.aio.insecure_channel(f"127.0.0.1:{only.server.port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stubs.ContactsServiceStub(channel).GetContact(pb.GetContactRequest())
        # It came as far as the missing token.
        assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_under_load_no_call_is_lost_while_replicas_are_replaced(keys: stack.Keys, account: AccountId) -> None:
    """Without a drain: even who has not seen the health yet is only sent on."""
    async with replicas(keys, 3) as (made, client):
        await all_answer(client, account, 3)
        before_load = sum(replica.calls for replica in made)
        ended = asyncio.Event()

        async def load() -> int:
            count = 0
            while not ended.is_set():
                await ask(client, account)
                count += 1
            return count

        clients = [asyncio.create_task(load()) for _ in range(16)]
        for replica in made[:2]:
            before = made[2].calls
            await replica.server.stop()

            async def goes_on(before: int = before) -> bool:
                return made[2].calls > before + 50

            await eventually(goes_on)
        ended.set()
        answered = sum(await asyncio.gather(*clients))
        # Each was made once: what was refused had not begun.
        assert sum(replica.calls for replica in made) - before_load == answered


async def test_what_began_ends_before_the_server_does(
    keys: stack.Keys, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is not this that the call has to thank for its end.
    monkeypatch.setattr(grpc_server, "CLOSING_SECONDS", 0.05)
    async with replicas(keys, 1) as ((only,), client):
        asked = asyncio.create_task(ask(client, account, "slow"))
        await only.arrived.wait()
        stopping = asyncio.create_task(only.server.stop())
        with pytest.raises(Unavailable, match="about to stop"):
            await refusal(only, keys, account)
        done, _ = await asyncio.wait([stopping], timeout=0.5)
        assert not done
        only.go_on.set()
        assert await asked == "0"
        await stopping


async def refusal(replica: Replica, keys: stack.Keys, account: AccountId) -> None:
    """What a client hears that does not go by health and has nobody else to ask."""
    signer = keys.signer("gateway")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{replica.server.port}") as channel:
        client = Client("ipv4:127.0.0.1:1", stubs.ContactsServiceStub, audience="contacts", signer=signer)
        method = stubs.ContactsServiceStub(channel).GetContact
        try:
            await client.unary(method, pb.GetContactRequest(id="x"), call=Outgoing(account), timeout=5)
        finally:
            await client.stop()


async def test_health_is_told_for_the_server_and_each_service(keys: stack.Keys) -> None:
    async with replicas(keys, 1) as ((only,), _), grpc.aio.insecure_channel(f"127.0.0.1:{only.server.port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE.full_name):
            assert (await stub.Check(health_pb2.HealthCheckRequest(service=name))).status == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.Check(health_pb2.HealthCheckRequest(service="carillon.none"))
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
        watching = stub.Watch(health_pb2.HealthCheckRequest(service=SERVICE.full_name))
        assert (await watching.read()).status == SERVING
        only.server.leave()
        assert (await watching.read()).status == NOT_SERVING
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        await only.server.stop()
        # The stop waits for nobody who watches, and ends them.
        assert await watching.read() is grpc.aio.EOF
