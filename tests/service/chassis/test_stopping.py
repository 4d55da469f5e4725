"""A server that stops takes nothing away: clients leave it for others, and what began ends."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as stubs
from chassis import grpc_client, grpc_server
from chassis.call import Call, Outgoing
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


async def test_who_stops_gets_no_new_calls_and_ends_those_that_it_has(keys: stack.Keys, account: AccountId) -> None:
    async with replicas(keys, 2) as (made, client):
        await all_answer(client, account, 2)
        asked = [asyncio.create_task(ask(client, account, "slow")) for _ in range(2)]
        leaver, other = made
        await leaver.arrived.wait()
        stopping = asyncio.create_task(leaver.server.stop())

        async def gone() -> bool:
            return {await ask(client, account) for _ in range(6)} == {"1"}

        await eventually(gone)
        done, _ = await asyncio.wait([stopping], timeout=0.5)
        assert not done
        for replica in (leaver, other):
            replica.go_on.set()
        assert sorted(await asyncio.gather(*asked)) == ["0", "1"]
        await stopping


async def test_under_load_no_call_is_lost_while_replicas_are_replaced(keys: stack.Keys, account: AccountId) -> None:
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
        # None was made twice.
        assert sum(replica.calls for replica in made) - before_load == answered


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
        stopping = asyncio.create_task(only.server.stop())
        assert (await watching.read()).status == NOT_SERVING
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == NOT_SERVING
        # The stop waits for nobody who watches, and ends them.
        assert await watching.read() is grpc.aio.EOF
        await stopping


def faster(options: Sequence[tuple[str, Any]], times: int) -> list[tuple[str, Any]]:
    """The same, its times for pings shortened."""
    return [
        (name, value // times if "ping_interval" in name or "keepalive_t" in name else value) for name, value in options
    ]


async def test_who_looks_after_a_quiet_connection_is_not_sent_away(
    keys: stack.Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gRPC's servers take pings for an attack, unless told otherwise."""
    monkeypatch.setattr(grpc_server, "OPTIONS", faster(grpc_server.OPTIONS, 50))
    async with replicas(keys, 1) as ((only,), _):
        quick = faster(grpc_client.OPTIONS, 50)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{only.server.port}", options=quick) as channel:
            watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            await watching.read()
            sent_away = asyncio.create_task(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
            # A client pings once a second at most; after its third or fourth it would be over.
            done, _ = await asyncio.wait([sent_away], timeout=4.5)
            assert not done
            sent_away.cancel()
