"""Real handshakes with certificates made here: between our services, to NATS, to Postgres."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1 import contacts_pb2_grpc as stubs
from chassis import tls as chassis_tls
from chassis.call import Call, Outgoing
from chassis.config import TlsFiles
from chassis.db import Database
from chassis.errors import DeadlineExceeded, Unavailable
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from chassis.ids import AccountId
from chassis.nats import Nats
from chassis.tls import EXPIRES, Tls, to_others
from deploy.local import databases, ports
from deploy.local import nats as local_nats
from tests.certificates import Authority, Issued
from tests.service import stack
from tests.service.stack import eventually

SERVICE = pb.DESCRIPTOR.services_by_name["ContactsService"]
Contacts = Client[stubs.ContactsServiceStub]
REFUSED = (Unavailable, DeadlineExceeded)


class Answering:
    def __getattr__(self, name: str) -> object:
        @rpc(admits={"gateway"})
        async def answer(call: Call, request: object) -> pb.GetContactResponse:
            return pb.GetContactResponse(contact=pb.Contact(id="served"))

        return answer


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority("ours")


@pytest.fixture(scope="module")
def theirs() -> Authority:
    return Authority("theirs")


@asynccontextmanager
async def serving(
    files: TlsFiles | None, keys: stack.Keys, *, port: int = 0
) -> AsyncIterator[tuple[Server, Tls | None]]:
    own = Tls(files) if files is not None else None
    server = Server(f"127.0.0.1:{port}", keys.verifier("contacts"), tls=own)
    server.add(SERVICE, Answering())
    await server.start()
    try:
        yield server, own
    finally:
        await server.stop()


def client_of(server: Server, keys: stack.Keys, own: Tls | None, *, host: str = "localhost") -> Contacts:
    target = f"{host}:{server.port}"
    return Client(target, stubs.ContactsServiceStub, audience="contacts", signer=keys.signer("gateway"), tls=own)


async def ask(client: Contacts, account: AccountId) -> str:
    # Below a second it does not wait for a server that may come.
    response = await client.unary(
        client.stub.GetContact, pb.GetContactRequest(id="x"), call=Outgoing(account), timeout=0.9
    )
    return response.contact.id


async def asked_once(server: Server, keys: stack.Keys, account: AccountId, own: Tls | None, **how: str) -> str:
    client = client_of(server, keys, own, **how)
    try:
        return await ask(client, account)
    finally:
        await client.stop()


async def test_who_has_our_authoritys_certificate_is_served(
    ours: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, _):
        own = Tls(ours.issue(["gateway"]).write(tmp_path / "client"))
        assert await asked_once(server, keys, account, own) == "served"


async def test_who_has_another_authoritys_certificate_is_refused(
    ours: Authority, theirs: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, _):
        # It trusts us, and we do not trust it.
        foreign = theirs.issue(["gateway"])
        own = Tls(Issued(foreign.cert, foreign.key, ours.pem, foreign.expires).write(tmp_path / "client"))
        with pytest.raises(REFUSED):
            await asked_once(server, keys, account, own)


async def test_who_has_no_certificate_or_no_tls_is_refused(
    ours: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, _):
        with pytest.raises(REFUSED):
            await asked_once(server, keys, account, None)
        nameless = grpc.ssl_channel_credentials(ours.pem)
        async with grpc.aio.secure_channel(f"localhost:{server.port}", nameless) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stubs.ContactsServiceStub(channel).GetContact(pb.GetContactRequest(), timeout=0.9)
    assert refused.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_a_server_is_believed_by_its_authority_and_its_name(
    ours: Authority, theirs: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    own = Tls(ours.issue(["gateway"]).write(tmp_path / "client"))
    for folder, wrong in (("other", ours.issue(["elsewhere"])), ("foreign", theirs.issue())):
        # Whoever poses as the server lets everybody in.
        files = Issued(wrong.cert, wrong.key, ours.pem, wrong.expires).write(tmp_path / folder)
        async with serving(files, keys) as (server, _):
            with pytest.raises(REFUSED):
                await asked_once(server, keys, account, own)
    async with serving(None, keys) as (server, _):
        with pytest.raises(REFUSED):
            await asked_once(server, keys, account, own)


async def test_a_server_takes_a_renewal_up_without_a_restart(
    ours: Authority,
    theirs: Authority,
    keys: stack.Keys,
    account: AccountId,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chassis_tls, "LOOK_SECONDS", 0.05)
    before = Tls(ours.issue(["gateway"]).write(tmp_path / "before"))
    renewed = Tls(theirs.issue(["gateway"]).write(tmp_path / "renewed"))
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, own):
        assert own is not None
        looking = asyncio.create_task(own.run())
        assert await asked_once(server, keys, account, before) == "served"
        theirs.issue().write(tmp_path / "server")

        async def taken_up() -> bool:
            return own.identity.ca == theirs.pem

        await eventually(taken_up)
        looking.cancel()
        assert await asked_once(server, keys, account, renewed) == "served"
        with pytest.raises(REFUSED):
            await asked_once(server, keys, account, before)


async def test_a_client_takes_a_renewal_up_without_a_restart(
    ours: Authority, theirs: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    own = Tls(ours.issue(["gateway"]).write(tmp_path / "client"))
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, _):
        client = client_of(server, keys, own)
        assert await ask(client, account) == "served"
    # At the same place, and of an authority that the client has not heard of yet.
    async with serving(theirs.issue().write(tmp_path / "server"), keys, port=server.port):
        with pytest.raises(REFUSED):
            await ask(client, account)
        theirs.issue(["gateway"]).write(tmp_path / "client")
        own.look()
        assert await ask(client, account) == "served"
        await client.stop()


async def test_a_call_under_way_is_not_broken_off_by_a_renewal(
    ours: Authority, keys: stack.Keys, account: AccountId, tmp_path: Path
) -> None:
    async with serving(ours.issue().write(tmp_path / "server"), keys) as (server, _):
        own = Tls(ours.issue(["gateway"]).write(tmp_path / "client"))
        client = client_of(server, keys, own)
        method = client.stub.GetContact
        ours.issue(["gateway"]).write(tmp_path / "client")
        own.look()
        assert await ask(client, account) == "served"
        response = await client.unary(method, pb.GetContactRequest(id="x"), call=Outgoing(account), timeout=5)
        assert response.contact.id == "served"
        await client.stop()


def test_files_that_do_not_fit_together_are_left_alone_until_they_do(ours: Authority, tmp_path: Path) -> None:
    own = Tls(ours.issue().write(tmp_path))
    before, renewed = own.identity, ours.issue()
    (tmp_path / "tls.crt").write_bytes(renewed.cert)
    own.look()
    assert own.identity is before
    (tmp_path / "tls.key").write_bytes(renewed.key)
    own.look()
    assert own.identity.cert == renewed.cert
    (tmp_path / "ca.crt").write_text("not yet written")
    own.look()
    (tmp_path / "ca.crt").unlink()
    own.look()
    assert own.identity.ca == ours.pem


def test_the_end_of_the_certificate_is_a_metric(ours: Authority, tmp_path: Path) -> None:
    first = ours.issue(days=1)
    own = Tls(first.write(tmp_path))
    assert EXPIRES.labels("cert")._value.get() == first.expires
    renewed = ours.issue(days=90)
    renewed.write(tmp_path)
    own.look()
    assert EXPIRES.labels("cert")._value.get() == renewed.expires
    assert EXPIRES.labels("ca")._value.get() > renewed.expires


NATS = """\
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor}"
authorization {{ user: "u", password: "p" }}
tls {{ cert_file: "{files.cert}", key_file: "{files.key}", ca_file: "{files.ca}", verify: true }}
"""


@contextmanager
def broker_with(files: TlsFiles, folder: Path) -> Iterator[str]:
    """A nats-server that asks for certificates; its host and port."""
    port, monitor = stack.free_port(), stack.free_port()
    folder.mkdir(exist_ok=True)
    (folder / "nats.conf").write_text(NATS.format(port=port, monitor=monitor, files=files))
    process = subprocess.Popen(
        [str(local_nats.binary()), "--config", str(folder / "nats.conf")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"localhost:{port}"
    finally:
        process.kill()
        process.wait()


async def refused_twice(nats: Nats) -> None:
    """It goes on trying, and is not connected."""

    async def tried() -> bool:
        return any(server.reconnects >= 2 for server in nats.client._server_pool)

    await eventually(tried)
    assert not nats.client.is_connected


async def connecting(url: str, context: Callable[[], ssl.SSLContext]) -> Nats:
    """To be stopped."""
    nats = Nats(url, "test", wait=False, context=context)
    await nats.start()
    return nats


async def test_nats_is_reached_by_tls_with_the_certificate_of_the_day(
    ours: Authority, theirs: Authority, tmp_path: Path
) -> None:
    own = theirs.issue(["contacts"]).write(tmp_path / "own")
    with broker_with(ours.issue().write(tmp_path / "broker"), tmp_path) as address:
        nats = await connecting(f"tls://u:p@{address}", to_others(own.ca, own))
        try:
            # The broker's authority is not the one that we know, and ours not the one that it does.
            await refused_twice(nats)
            ours.issue(["contacts"]).write(tmp_path / "own")

            async def connected() -> bool:
                return nats.client.is_connected

            await eventually(connected)
        finally:
            await nats.stop()


async def test_a_url_that_says_tls_is_never_talked_to_in_the_clear(broker: local_nats.Server) -> None:
    nats = await connecting(broker.url.replace("nats://", "tls://"), ssl.create_default_context)
    try:
        await refused_twice(nats)
    finally:
        await nats.stop()
    clear = Nats(broker.url, "test")
    await clear.start()
    await clear.ping()
    await clear.stop()


@asynccontextmanager
async def postgres_behind(files: TlsFiles, server_url: str) -> AsyncIterator[int]:
    """A port that takes Postgres' connections with TLS and passes them on: the embedded one is built without."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    behind = urlsplit(server_url)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # SSLRequest: its length and its code. The answer S says that the handshake may begin.
        assert await reader.readexactly(8) == b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, ConnectionError):
            writer.close()
            return
        there_reader, there_writer = await asyncio.open_connection(behind.hostname, behind.port)
        await asyncio.gather(passed_on(reader, there_writer), passed_on(there_reader, writer))

    async def passed_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            target.write(data)
        target.close()

    port = ports.choose()
    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()


async def test_postgres_is_reached_by_tls_and_believed_by_its_authority(
    ours: Authority, theirs: Authority, tmp_path: Path, urls: databases.Urls
) -> None:
    files, foreign = ours.issue().write(tmp_path / "server"), theirs.issue().write(tmp_path / "foreign")
    async with postgres_behind(files, urls.serve) as port:
        parts = urlsplit(urls.serve)
        login = parts.netloc.rpartition("@")[0]
        url = parts._replace(netloc=f"{login}@localhost:{port}").geturl()
        for ca, expected in ((files.ca, True), (foreign.ca, False)):
            db = await Database.open(f"{url}?sslmode=verify-full&sslrootcert={ca}", pool_size=1)
            try:
                if expected:
                    await db.ping()
                else:
                    with pytest.raises((Unavailable, ssl.SSLError)):
                        await db.ping()
            finally:
                await db.stop()
