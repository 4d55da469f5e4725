"""A message as an email: headers, text and HTML."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from services.campaigns.providers.port import Outbound

# Servers that do not say 8BITMIME must not be given any.
POLICY = SMTP.clone(cte_type="7bit")
WIDE_POLICY = SMTP.clone(utf8=True)
SPECIAL = set('()<>[]:;,\\" ')


class Unfit(Exception):
    """An address or a name that no header can have."""


@dataclass(frozen=True, slots=True)
class Mail:
    # Of the envelope.
    sender: str
    to: str
    # The same for every attempt at the recipient, without the angle brackets.
    message_id: str
    content: bytes
    # An address is not ASCII: only a server with SMTPUTF8 (RFC 6531) can take it.
    is_wide: bool


def composed(message: Outbound, *, from_name: str | None, reply_to: str | None) -> Mail:
    """Raises Unfit."""
    try:
        return built(message, from_name=from_name, reply_to=reply_to)
    except (ValueError, IndexError, MessageError) as error:
        raise Unfit(type(error).__name__) from error


def built(message: Outbound, *, from_name: str | None, reply_to: str | None) -> Mail:
    sender, to = on_the_wire(message.sender), on_the_wire(message.to)
    is_wide = not (sender.isascii() and to.isascii())
    message_id = f"{message.key}@{sender.rpartition('@')[2]}"
    mail = EmailMessage(WIDE_POLICY if is_wide else POLICY)
    mail["From"] = mailbox(sender, from_name or "")
    mail["To"] = mailbox(to)
    mail["Subject"] = " ".join((message.subject or "").split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{message_id}>"
    if reply_to:
        mail["Reply-To"] = mailbox(on_the_wire(reply_to))
    if message.unsubscribe_url:
        mail["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    mail.set_content(message.text)
    if message.html is not None:
        mail.add_alternative(message.html, subtype="html")
    return Mail(sender, to, message_id, mail.as_bytes(), is_wide)


def mailbox(address: str, shown: str = "") -> Address:
    """Raises ValueError, MessageError."""
    if address.isascii():
        return Address(shown, addr_spec=address)
    # Its parser knows no RFC 6531.
    if not address.isprintable() or SPECIAL & set(address):
        raise ValueError("no address")
    name, _, domain = address.rpartition("@")
    return Address(shown, username=name, domain=domain)


def on_the_wire(address: str) -> str:
    """With the domain in ASCII. Raises ValueError."""
    name, _, domain = address.rpartition("@")
    if not name or not domain:
        raise ValueError("no address")
    return f"{name}@{domain if domain.isascii() else domain.encode('idna').decode()}"
