"""A message as an email: headers, text and HTML.

Put together by hand: the standard library parses and folds each header of each mail again, which took twice the
processor time of sending it. `tests/unit/campaigns/test_mail.py` has the library read the result.
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache

from services.campaigns.providers.port import Outbound

# Of a line: what servers take (RFC 5321 4.5.3.1.6), and what it should have at most (RFC 5322 2.1.1).
MOST_LINE, GOOD_LINE = 998, 78
# Octets in an encoded word, so that with its frame it has 75 characters at most (RFC 2047 2).
WORD_OCTETS = 45
SPECIAL = set('()<>[]:;,\\" @')
# Of a name that is shown: what needs no quotes (RFC 5322 3.2.3), and blanks.
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
BREAK = re.compile(r"\r\n|\r|\n")
ASCII = bytes(range(128))
# Of so many characters one outside ASCII: from there on base64 is shorter than quoted-printable.
BASE64_FROM = 6


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
    sender, to = on_the_wire(message.sender), on_the_wire(message.to)
    message_id = f"{message.key}@{sender.rpartition('@')[2]}"
    headers = [
        f"From: {mailbox(sender, from_name or '')}",
        f"To: {to}",
        f"Subject: {unstructured(' '.join((message.subject or '').split()))}",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: {unbroken(f'<{message_id}>')}",
        "MIME-Version: 1.0",
    ]
    if reply_to:
        headers.append(f"Reply-To: {on_the_wire(reply_to)}")
    if message.unsubscribe_url:
        headers.append(f"List-Unsubscribe: {unbroken(f'<{message.unsubscribe_url}>')}")
        headers.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    try:
        content = "\r\n".join(headers).encode() + b"\r\n" + body(message)
    except UnicodeEncodeError as error:
        raise Unfit("no Unicode") from error
    return Mail(sender, to, message_id, content, is_wide=not (sender.isascii() and to.isascii()))


def body(message: Outbound) -> bytes:
    """Behind the headers that say what it is."""
    text = part(message.text, "plain")
    if message.html is None:
        return text
    boundary = f"=_{secrets.token_hex(16)}"
    # The break before it is the edge's own.
    edge = f"\r\n--{boundary}".encode()
    head = f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'.encode()
    return b"".join((head, edge, b"\r\n", text, edge, b"\r\n", part(message.html, "html"), edge, b"--\r\n"))


def part(text: str, kind: str) -> bytes:
    """With its headers; its last line has an end. Nothing but ASCII: a server that does not say 8BITMIME must not be
    given anything else."""
    raw = BREAK.sub("\r\n", text if text.endswith(("\r", "\n")) else f"{text}\n").encode()
    outside = len(raw.translate(None, ASCII))
    if not outside and max(map(len, raw.split(b"\r\n"))) <= MOST_LINE:
        encoding = "7bit"
    elif outside * BASE64_FROM > len(raw):
        encoding, raw = "base64", base64.encodebytes(raw).replace(b"\n", b"\r\n")
    else:
        encoding, raw = "quoted-printable", binascii.b2a_qp(raw, istext=True)
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + raw


@lru_cache(maxsize=1_000)
def mailbox(address: str, shown: str) -> str:
    """An address of `on_the_wire`, with a name before it. Raises Unfit."""
    if not shown:
        return address
    if not is_plain(shown):
        return f"{encoded(shown)}\r\n <{address}>"
    if not ATOMS.fullmatch(shown):
        shown = '"' + shown.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{shown} <{address}>"


def unstructured(text: str) -> str:
    return text if is_plain(text) else encoded(text)


def is_plain(text: str) -> bool:
    """Whether a header can have it as it is."""
    return len(text) <= GOOD_LINE - len("Subject: ") and text.isascii() and text.isprintable() and "=?" not in text


def encoded(text: str) -> str:
    """As encoded words (RFC 2047), each on a line of its own."""
    words, word = [], b""
    for character in text:
        octets = character.encode()
        if len(word) + len(octets) > WORD_OCTETS:
            words.append(word)
            word = b""
        word += octets
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(one).decode()}?=" for one in (*words, word))


def unbroken(text: str) -> str:
    """What must not be divided, on the next line where this one would be long."""
    return text if len(text) <= GOOD_LINE // 2 else f"\r\n {text}"


def on_the_wire(address: str) -> str:
    """With the domain in ASCII. Raises Unfit."""
    name, _, domain = address.rpartition("@")
    if not name or not domain or not address.isprintable() or SPECIAL & {*name, *domain}:
        raise Unfit("no address")
    try:
        return f"{name}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise Unfit("no domain") from error
