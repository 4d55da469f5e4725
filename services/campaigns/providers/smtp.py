"""SMTP: one mail per recipient, over connections that are kept and shared.

SMTP knows no idempotency keys. Until the end of the mail was sent nothing is taken, and the attempt may be repeated;
from then on no answer is `uncertain`.

| reply | to | means |
|---|---|---|
| 2xx | the end of the mail | accepted |
| 4xx | anything | not taken: try again |
| 5xx | RCPT, the mail | refused for good |
| 5xx | AUTH | the sender's credentials are wrong: the campaign is paused |
| 5xx | greeting, EHLO, STARTTLS, MAIL | the sender is at fault: try again, until the campaign is paused |
| none | up to DATA | not taken: try again |
| none | after DATA | no answer |
"""

import asyncio
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException, SMTPServerDisconnected

from chassis.destinations import Networks, RefusedAddress, guarded_socket
from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.sending import (
    Accepted,
    Answer,
    Barred,
    Keys,
    Refused,
    Throttled,
    Unanswered,
    Unavailable,
)
from services.campaigns.providers.mail import Mail, Unfit, composed
from services.campaigns.providers.port import OneByOne, Outbound
from services.campaigns.providers.settings import Choice, Flag, Host, Line, Number, Schema, Server, Setting, filled
from services.campaigns.providers.smtp_pool import Busy, Pool

TEMPORARY, PERMANENT = 400, 500
# Whoever waits longer for a connection begins too long after its recipient was checked; the sender is held back.
QUEUE_SECONDS = 0.4
HELD_BACK_SECONDS = 0.2
PORTS = {"starttls": 587, "tls": 465, "none": 25}

SETTINGS: Schema = {
    "host": Setting(Server(), "The server", required=True),
    "port": Setting(Number(0, 65535, whole=True), "587 with starttls, 465 with tls, 25 with none"),
    "tls": Setting(Choice(tuple(PORTS)), "starttls is required where it is chosen", "starttls"),
    "verify_certificate": Setting(Flag(), "Whether the server's certificate has to be a valid one", True),
    "username": Setting(Line(320), "For AUTH, with the secret password; absent: no AUTH"),
    "helo": Setting(Host(), "What the server is told of who calls; absent: this machine's name"),
    "from_name": Setting(Line(200, ascii_only=False), "Shown beside the sender's address"),
    "reply_to": Setting(Line(320), "Where replies go, if not to the sender's address"),
    "connections": Setting(Number(0, 100, whole=True), "The most connections of one process", 10),
}
SECRETS: Schema = {"password": Setting(Line(1024, ascii_only=False), "Of username")}


class SmtpProvider(OneByOne):
    keys = Keys(honoured=False, kept=timedelta(0))

    def __init__(
        self, settings: Mapping[str, Any], secrets: Mapping[str, str], *, allowed: Networks, timeout: float
    ) -> None:
        """settings, secrets: of SETTINGS and SECRETS. allowed: where the server may be besides the public Internet.
        timeout: seconds, of one message and of one connection.
        """
        known = filled(SETTINGS, settings)
        port = known["port"] or PORTS[known["tls"]]
        self._known = known
        self._timeout = timeout

        async def connected() -> SMTP:
            connection = SMTP(
                hostname=known["host"],
                sock=await connect(known["host"], port, allowed=allowed),
                use_tls=known["tls"] == "tls",
                start_tls=known["tls"] == "starttls",
                validate_certs=known["verify_certificate"],
                username=known["username"] if "password" in secrets else None,
                password=secrets.get("password") if known["username"] else None,
                local_hostname=known["helo"] or socket.gethostname(),
                timeout=timeout,
            )
            try:
                await connection.connect()
            except BaseException:
                connection.close()
                raise
            return connection

        self._pool = Pool(connected, most=known["connections"])

    async def close(self) -> None:
        self._pool.close()

    async def send(self, message: Outbound) -> Answer:
        try:
            mail = composed(message, from_name=self._known["from_name"], reply_to=self._known["reply_to"])
        except Unfit:
            return Refused()
        attempt = Attempt(mail)
        try:
            async with asyncio.timeout(self._timeout):
                return await self._attempt(attempt)
        except Busy:
            return Throttled(HELD_BACK_SECONDS)
        except RefusedAddress:
            return Barred(Hold.ADDRESS_REFUSED)
        except SMTPAuthenticationError as reply:
            return Barred(Hold.CREDENTIALS_REFUSED) if reply.code >= PERMANENT else Unavailable()
        except (TimeoutError, SMTPException, OSError):
            return Unanswered() if attempt.handed_over else Unavailable()

    async def _attempt(self, attempt: "Attempt") -> Answer:
        while True:
            async with self._pool.connection(wait=QUEUE_SECONDS) as (connection, is_used):
                try:
                    return await attempt.make(connection)
                except SMTPServerDisconnected:
                    # The server may have closed a connection that waited in the pool. Nothing was sent on it.
                    if not is_used or attempt.begun:
                        raise


class Attempt:
    """One mail on its way. `begun`: the server took the sender; `handed_over`: it may have the whole mail."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail
        self.begun = False
        self.handed_over = False

    async def make(self, connection: SMTP) -> Answer:
        """Raises SMTPException, OSError where there is no answer; the connection is of no use then."""
        mail = self._mail
        try:
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()
            if mail.is_wide and not connection.supports_extension("smtputf8"):
                return Refused()
            await connection.mail(mail.sender, options=["SMTPUTF8"] if mail.is_wide else [], encoding="utf-8")
            self.begun = True
            await connection.rcpt(mail.to, encoding="utf-8")
            self.handed_over = True
            await connection.data(mail.content)
        except SMTPResponseException as reply:
            if reply.code < TEMPORARY:
                # No answer that means anything.
                connection.close()
                return Unanswered() if self.handed_over else Unavailable()
            await reset(connection)
            return Refused() if reply.code >= PERMANENT and self.begun else Unavailable()
        return Accepted(mail.message_id)


async def connect(host: str, port: int, *, allowed: Networks) -> socket.socket:
    """To the first address of the host that answers. Raises OSError; RefusedAddress where it was not to be reached."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    make, failure = guarded_socket(allowed), OSError("the name leads nowhere")
    for info in found:
        try:
            made = make(info)
        except RefusedAddress as error:
            failure = error
            continue
        try:
            made.setblocking(False)
            await loop.sock_connect(made, info[4])
        except OSError as error:
            made.close()
            failure = error
        except BaseException:
            made.close()
            raise
        else:
            return made
    raise failure


async def reset(connection: SMTP) -> None:
    """Ready for the next mail, or closed."""
    try:
        if connection.is_connected:
            await connection.rset()
    except (SMTPException, OSError):
        connection.close()
