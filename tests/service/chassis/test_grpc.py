import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as rpc_stubs
from carillon.segments.v1 import segments_pb2 as segments
from carillon.segments.v1 import segments_pb2_grpc as segments_stubs
from chassis import grpc_server
from chassis.call import Call, Outgoing
from chassis.errors import (
    MAX_VIOLATIONS,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Reason,
    Unauthenticated,
    Unavailable,
    Violation,
)
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from chassis.ids import AccountId
from tests.service import stack

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["ContactsService"].methods]


class Contacts:
    """Every method answers NOT_FOUND but those of the tests."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __getattr__(self, name: str) -> object:
        if name not in METHODS:
            raise AttributeError(name)

        @rpc(admits={"gateway"})
        async def absent(call: Call, request: object) -> None:
            raise NotFound(Reason.NOT_FOUND, "Nothing here.")

        return absent

    @rpc(admits={"gateway"})
    async def GetContact(self, call: Call, request: pb.GetContactRequest) -> pb.GetContactResponse:
        self.calls.append(call)
        if request.id == "slow":
            await asyncio.sleep(30)
        if request.id == "faulty":
            faults = [Violation(f"/conditions/{n}/operator", "invalid_rule", "x" * 1000) for n in range(100)]
            raise InvalidArgument(Reason.INVALID_RULE, "Faults.", violations=faults)
        if request.id == "broken":
            raise ZeroDivisionError("secret")
        return pb.GetContactResponse(contact=pb.Contact(id=request.id))


@dataclass
class Wire:
    servicer: Contacts
    client: Client[rpc_stubs.ContactsServiceStub]
    port: int


@pytest_asyncio.fixture
async def wire(keys: stack.Keys) -> AsyncIterator[Wire]:
    servicer = Contacts()
    server = Server("127.0.0.1:0", keys.verifier("contacts"))
    server.add(pb.DESCRIPTOR.services_by_name["ContactsService"], servicer)
    await server.start()
    client = make_client(server.port, keys, "gateway")
    yield Wire(servicer, client, server.port)
    await client.stop()
    await server.stop()


def make_client(port: int, keys: stack.Keys, issuer: str) -> Client[rpc_stubs.ContactsServiceStub]:
    return Client(f"127.0.0.1:{port}", rpc_stubs.ContactsServiceStub, audience="contacts", signer=keys.signer(issuer))


async def get(client: Client[rpc_stubs.ContactsServiceStub], account: AccountId, name: str, timeout: float = 5) -> str:
    call = Outgoing(account, scopes=("contacts:read",), request_id="req-1")
    response = await client.unary(client.stub.GetContact, pb.GetContactRequest(id=name), call=call, timeout=timeout)
    return response.contact.id


async def test_a_call_carries_account_issuer_scopes_and_request_id(wire: Wire, account: AccountId) -> None:
    assert await get(wire.client, account, "x") == "x"
    call = wire.servicer.calls[0]
    assert (call.account, call.issuer, call.request_id) == (account, "gateway", "req-1")
    assert call.scopes == {"contacts:read"}


async def test_an_error_comes_back_as_it_was_raised(wire: Wire, account: AccountId) -> None:
    with pytest.raises(NotFound, match="Nothing here"):
        await wire.client.unary(
            wire.client.stub.DeleteContact, pb.DeleteContactRequest(), call=Outgoing(account), timeout=5
        )


async def test_a_stream_that_is_refused_is_read_to_its_end(wire: Wire, account: AccountId) -> None:
    """A client that the end of a call reaches while it sends may lose what the call ended with."""
    sent = 0

    async def parts() -> AsyncIterator[pb.CreateImportRequest]:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield pb.CreateImportRequest(chunk=bytes(64 * 1024))

    with pytest.raises(NotFound, match="Nothing here"):
        await wire.client.stream_in(wire.client.stub.CreateImport, parts(), call=Outgoing(account), timeout=5)
    assert sent == 100


async def test_a_refused_stream_is_read_no_longer_than_so_far(
    wire: Wire, account: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grpc_server, "PASSED_BYTES", 256 * 1024)
    ended = asyncio.Event()

    async def parts() -> AsyncIterator[pb.CreateImportRequest]:
        for _ in range(5):
            yield pb.CreateImportRequest(chunk=bytes(64 * 1024))
        await ended.wait()

    with pytest.raises(NotFound, match="Nothing here"):
        await wire.client.stream_in(wire.client.stub.CreateImport, parts(), call=Outgoing(account), timeout=5)
    ended.set()


async def test_a_hundred_faults_still_travel(wire: Wire, account: AccountId) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await get(wire.client, account, "faulty")
    assert len(refused.value.violations) == MAX_VIOLATIONS


async def test_an_unknown_error_says_nothing_of_the_inside(wire: Wire, account: AccountId) -> None:
    with pytest.raises(Internal) as error:
        await get(wire.client, account, "broken")
    assert "secret" not in error.value.detail


async def test_a_deadline_ends_the_call(wire: Wire, account: AccountId) -> None:
    with pytest.raises(DeadlineExceeded):
        await get(wire.client, account, "slow", timeout=0.2)


async def test_both_sides_count_a_call_by_how_it_ended(wire: Wire, account: AccountId) -> None:
    method = "/carillon.contacts.v1.ContactsService/GetContact"

    def counted() -> list[float]:
        return [
            stack.measured(f"carillon_grpc_{side}_calls_total", method=method, code=code)
            for side in ("server", "client")
            for code in ("OK", "INVALID_ARGUMENT", "INTERNAL", "CANCELLED")
        ]

    def timed() -> list[float]:
        return [stack.measured(f"carillon_grpc_{side}_seconds_count", method=method) for side in ("server", "client")]

    before, times = counted(), timed()
    await get(wire.client, account, "there")
    with pytest.raises(InvalidArgument):
        await get(wire.client, account, "faulty")
    with pytest.raises(Internal):
        await get(wire.client, account, "broken")
    asked = len(wire.servicer.calls)
    calling = asyncio.create_task(get(wire.client, account, "slow"))

    async def arrived() -> bool:
        return len(wire.servicer.calls) > asked

    await stack.eventually(arrived)
    calling.cancel()

    async def all_counted() -> bool:
        return [now - then for now, then in zip(counted(), before, strict=True)] == [1.0] * 8

    await stack.eventually(all_counted)
    assert [now - then for now, then in zip(timed(), times, strict=True)] == [4.0, 4.0]


async def test_a_service_that_is_not_admitted_is_refused(wire: Wire, account: AccountId, keys: stack.Keys) -> None:
    client = make_client(wire.port, keys, "segments")
    with pytest.raises(PermissionDenied):
        await get(client, account, "x")
    await client.stop()
    assert wire.servicer.calls == []


async def test_no_token_is_refused(wire: Wire) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{wire.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await rpc_stubs.ContactsServiceStub(channel).GetContact(pb.GetContactRequest())
    assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_nobody_listening_is_unavailable(keys: stack.Keys, account: AccountId) -> None:
    client = make_client(stack.free_port(), keys, "gateway")
    with pytest.raises((Unavailable, DeadlineExceeded)):
        await get(client, account, "x", timeout=0.9)
    await client.stop()


def test_a_method_that_admits_nobody_cannot_be_served(keys: stack.Keys) -> None:
    class Open:
        async def GetContact(self, call: Call, request: object) -> None: ...

    server = Server.__new__(Server)
    server._tokens = keys.verifier("contacts")
    with pytest.raises((TypeError, AttributeError)):
        server.add(pb.DESCRIPTOR.services_by_name["ContactsService"], Open())


class Segments:
    def __getattr__(self, name: str) -> object:
        @rpc(admits={"gateway"})
        async def absent(call: Call, request: object) -> None: ...

        return absent

    @rpc(admits={"campaigns"})
    async def StreamAudience(self, call: Call, request: segments.StreamAudienceRequest):
        for number in range(3):
            yield segments.StreamAudienceResponse(contacts=[pb.Contact(id=f"{number}")])
        raise Unauthenticated(Reason.UNAUTHENTICATED, "in the middle")


async def test_a_stream_ends_in_its_error(keys: stack.Keys, account: AccountId) -> None:
    server = Server("127.0.0.1:0", keys.verifier("segments"))
    server.add(segments.DESCRIPTOR.services_by_name["SegmentsService"], Segments())
    await server.start()
    client = Client(
        f"127.0.0.1:{server.port}",
        segments_stubs.SegmentsServiceStub,
        audience="segments",
        signer=keys.signer("campaigns"),
    )
    got = []
    with pytest.raises(Unauthenticated, match="in the middle"):
        async for part in client.stream_out(
            client.stub.StreamAudience, segments.StreamAudienceRequest(), call=Outgoing(account), timeout=5
        ):
            got.append(part.contacts[0].id)
    assert got == ["0", "1", "2"]
    await client.stop()
    await server.stop()
