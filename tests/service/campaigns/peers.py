"""Real peers for providers: the carrier simulator's server, an SMTP server, and sockets that answer as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd import smtp
from aiosmtpd.smtp import AuthResult, Envelope, Session

from deploy.local.carrier.app import Carrier
from deploy.local.carrier.http import Server
from services.campaigns.providers.port import Outbound

HOST = "127.0.0.1"


@dataclass
class Simulator:
    """The carrier simulator in this process, behind a real socket."""

    carrier: Carrier
    folder: Path
    url: str

    def told(self, **changes: Any) -> None:
        self.carrier.control = self.carrier.control.changed(changes)

    def accepted(self) -> list[dict[str, Any]]:
        file = self.folder / "accepted.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()]


@asynccontextmanager
async def simulating(folder: Path) -> AsyncIterator[Simulator]:
    carrier = Carrier(folder)
    await carrier.start()
    server = Server(carrier.handle)
    port = await server.start(HOST, 0)
    try:
        yield Simulator(carrier, folder, f"http://{HOST}:{port}")
    finally:
        await server.stop()
        await carrier.stop()


@dataclass
class Mailbox:
    """An SMTP server's handler: keeps what it took, and answers as a test says."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    # By command: an answer instead of a yes, `{"RCPT": "450 later"}`.
    answers: dict[str, str] = field(default_factory=dict)
    # Taken, and then the connection is cut instead of the answer.
    cut_after_data: bool = False
    greeted: int = 0
    # Asked for before a command is answered.
    gate: asyncio.Event | None = None
    waiting: int = 0
    transports: list[Any] = field(default_factory=list)

    async def handle_EHLO(
        self, server: smtp.SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greeted += 1
        self.transports.append(server.transport)
        session.host_name = hostname
        return [self.answers["EHLO"]] if "EHLO" in self.answers else responses

    async def handle_MAIL(
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.gate is not None:
            self.waiting += 1
            await self.gate.wait()
        if "MAIL" in self.answers:
            return self.answers["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: smtp.SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: smtp.SMTP, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.answers:
            return self.answers["DATA"]
        assert isinstance(envelope.content, bytes)
        self.envelopes.append(envelope)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        if self.cut_after_data:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 Message accepted"

    def cut_all(self) -> None:
        """As a server does with connections that were idle for long."""
        for transport in self.transports:
            transport.abort()
        self.transports.clear()


@asynccontextmanager
async def mailbox(**options: Any) -> AsyncIterator[Mailbox]:
    box = Mailbox()
    server = await asyncio.get_running_loop().create_server(
        lambda: smtp.SMTP(box, hostname="peer.test", **options), HOST, 0
    )
    box.port = server.sockets[0].getsockname()[1]
    async with server:
        yield box
        box.cut_all()


def authenticate(_: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
    """Who knows the password `right` is let in; others are told 535, for which the server wants it unhandled."""
    return AuthResult(success=data.password == b"right", handled=False)


@asynccontextmanager
async def answering(pieces: Sequence[bytes]) -> AsyncIterator[str]:
    """A URL where each connection is answered with these pieces, each in a packet of its own, and closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0")
        await reader.readexactly(int(length.partition(b":")[2]))
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"


def message(number: int = 1, **fields: Any) -> Outbound:
    base: dict[str, Any] = {
        "key": f"rcp_{number}",
        "to": f"+1555000{number:04d}",
        "sender": "+15559990000",
        "channel": "sms",
        "text": "hi",
        "subject": None,
        "callback_url": "",
    }
    return Outbound(**(base | fields))
