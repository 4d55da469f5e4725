"""The way out: only where a webhook may go, and only as far as the other side keeps its part."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.gateway.webhooks.transport import ANSWER_BYTES, Answer, GuardedResolver, Transport
from tests.service.stack import free_port

PUBLIC = "93.184.216.34"


class Answers(GuardedResolver):
    """What the name server says, one answer after another; the last one again and again."""

    def __init__(self, *answers: list[str], private: bool = False) -> None:
        super().__init__(private=private)
        self.answers = list(answers)
        self.asked = 0

    def look_up(self, host: str, port: int, family: int) -> list[Any]:
        found = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        kinds = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in found]
        return [(kind, socket.SOCK_STREAM, 6, "", (one, port)) for kind, one in zip(kinds, found, strict=True)]


@asynccontextmanager
async def transport(**more: Any) -> AsyncIterator[Transport]:
    made = Transport(**{"timeout": 5.0, "private": False} | more)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def server(handle: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Its port."""
    app = web.Application(client_max_size=8 << 20)
    app.router.add_post("/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    try:
        yield port
    finally:
        await runner.cleanup()


class Witness:
    """Whether anybody came."""

    def __init__(self) -> None:
        self.came = 0

    async def __call__(self, _: web.Request) -> web.StreamResponse:
        self.came += 1
        return web.Response()


async def post(found: Transport, url: str) -> Answer:
    return await found.post(url, b"{}", {})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"],
)
async def test_the_machine_itself_is_not_reached_by_any_spelling(host: str) -> None:
    witness = Witness()
    async with server(witness) as port, transport() as found:
        answer = await post(found, f"https://{host}:{port}/")
    assert answer.status is None
    assert (answer.error or "").startswith("address_refused"), answer
    assert witness.came == 0


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["::1"], ["::ffff:10.0.0.1"], ["169.254.169.254"], [PUBLIC, "127.0.0.1"]],
    ids=["loopback", "loopback v6", "mapped", "metadata", "one of several"],
)
async def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    witness = Witness()
    async with server(witness) as port, transport(resolver=Answers(addresses)) as found:
        answer = await post(found, f"https://innocent.example:{port}/")
    assert answer.error == "address_refused: the address is not on the public Internet"
    assert witness.came == 0


async def test_an_answer_that_changes_is_never_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer is public and would be checked, the second leads inside: only the first one is ever used."""
    resolver, witness = Answers([PUBLIC], ["127.0.0.1"]), Witness()
    targets: list[str] = []
    loop = asyncio.get_running_loop()

    async def connect(sock: socket.socket, address: Any) -> None:
        targets.append(address[0])
        raise ConnectionRefusedError

    async with server(witness) as port, transport(resolver=resolver) as found:
        monkeypatch.setattr(type(loop), "sock_connect", lambda _, sock, address: connect(sock, address))
        answer = await post(found, f"https://rebinding.example:{port}/")
    assert (answer.error, targets, resolver.asked, witness.came) == ("connection_refused", [PUBLIC], 1, 0)


async def test_a_name_that_leads_nowhere_is_told_so() -> None:
    class Nothing(GuardedResolver):
        def look_up(self, host: str, port: int, family: int) -> list[Any]:
            raise socket.gaierror(socket.EAI_NONAME, "not known")

    async with transport(resolver=Nothing(private=False)) as found:
        assert (await post(found, "https://nowhere.example/")).error == "name_not_resolved"


async def test_plain_http_needs_the_setting() -> None:
    witness = Witness()
    async with server(witness) as port:
        async with transport(resolver=Answers([PUBLIC])) as found:
            assert ((await post(found, f"http://a.example:{port}/")).error or "").startswith("address_refused")
        async with transport(private=True) as found:
            assert (await post(found, f"http://127.0.0.1:{port}/")).status == 200
    assert witness.came == 1


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    witness = Witness()

    async def elsewhere(_: web.Request) -> web.StreamResponse:
        raise web.HTTPTemporaryRedirect(f"http://127.0.0.1:{target}/")

    async with server(witness) as target, server(elsewhere) as port, transport(private=True) as found:
        answer = await post(found, f"http://127.0.0.1:{port}/")
    assert (answer.status, answer.taken, witness.came) == (307, False, 0)


async def test_an_endless_answer_is_cut_off_and_its_status_counts() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        while True:
            await response.write(b"x" * 16384)
            sent += 16384

    async with server(endless) as port, transport(private=True, timeout=30.0) as found:
        assert (await post(found, f"http://127.0.0.1:{port}/")).status == 200
    # What the socket's buffers hold is sent without being read.
    assert sent < 200 * ANSWER_BYTES


async def test_a_compressed_answer_is_not_unpacked() -> None:
    async def packed(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b"no gzip at all", headers={"Content-Encoding": "gzip"})

    async with server(packed) as port, transport(private=True) as found:
        assert (await post(found, f"http://127.0.0.1:{port}/")).status == 200


async def test_a_broken_connection_is_a_failure_and_no_exception() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    listener = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with transport(private=True) as found:
        answer = await post(found, f"http://127.0.0.1:{port}/")
    listener.close()
    assert answer.status is None
    assert (answer.error or "").startswith("connection_broken")


async def test_nobody_there_is_a_failure() -> None:
    async with transport(private=True) as found:
        assert (await post(found, f"http://127.0.0.1:{free_port()}/")).error == "connection_refused"


@pytest.mark.parametrize(
    ("header", "expected"),
    [("120", timedelta(seconds=120)), ("soon", None), ("-5", None), ("99999999999999999999", timedelta(seconds=10**6))],
    ids=["seconds", "nonsense", "negative", "huge"],
)
async def test_retry_after_is_read_if_it_can_be(header: str, expected: timedelta | None) -> None:
    async def busy(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503, headers={"Retry-After": header})

    async with server(busy) as port, transport(private=True) as found:
        assert (await post(found, f"http://127.0.0.1:{port}/")).retry_after == expected


def certificate(folder: Path, *, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's side, and that of a client which trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    alternative = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = folder / f"{name}.pem"
    file.write_bytes(
        pem
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cadata=pem.decode())


async def test_certificates_are_verified(tmp_path: Path) -> None:
    witness = Witness()
    serving, trusting = certificate(tmp_path, name="hooks.example")
    # A private address, so that the test can be where the name leads.
    there = {"resolver": Answers(["127.0.0.1"], private=True), "private": True}
    async with server(witness, serving) as port:
        async with transport(**there, tls=trusting) as found:
            assert (await post(found, f"https://hooks.example:{port}/")).status == 200
            assert (await post(found, f"https://other.example:{port}/")).error == "tls_failed"
        async with transport(**{**there, "resolver": Answers(["127.0.0.1"], private=True)}) as found:
            assert (await post(found, f"https://hooks.example:{port}/")).error == "tls_failed"
    assert witness.came == 1
