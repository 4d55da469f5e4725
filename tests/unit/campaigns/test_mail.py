"""What the standard library reads in a mail is what went into it."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.providers.mail import MOST_LINE, WORD_OCTETS, Mail, Unfit, composed
from services.campaigns.providers.port import Outbound

LINK = "https://carillon.test/t/" + "x" * 120
# Lines of any text; what a line is, is the same to both.
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1)
# A name is printable by its setting. Short: between two encoded words of a name the library reads a blank.
NAMES = st.text(st.characters(categories=["L", "M", "N", "P", "S"]), max_size=WORD_OCTETS // 4)


def outbound(**fields: str | None) -> Outbound:
    base: dict[str, str | None] = {
        "key": "rcp_1", "to": "ann@example.com", "sender": "news@shop.test", "channel": "email", "text": "hi",
        "subject": "s", "callback_url": "", "html": None, "unsubscribe_url": LINK,
    }  # fmt: skip
    return Outbound(**(base | fields))  # type: ignore[arg-type]


def read(mail: Mail) -> EmailMessage:
    """As a server and a reader would; whatever would trouble either is an error."""
    lines = mail.content.split(b"\r\n")
    assert mail.content.isascii()
    assert mail.content.endswith(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= MOST_LINE
    found = message_from_bytes(mail.content, policy=SMTP)
    assert isinstance(found, EmailMessage)
    assert [found.defects, *(value.defects for value in found.values())] == [[], *([()] * len(found))]
    return found


def content(part: EmailMessage) -> str:
    return str(part.get_content())


@given(text=TEXTS, html=TEXTS, subject=st.text(), shown=NAMES)
def test_what_goes_in_is_read(text: list[str], html: list[str], subject: str, shown: str) -> None:
    try:
        mail = composed(
            outbound(text="\n".join(text), html="\r\n".join(html), subject=subject), from_name=shown, reply_to=None
        )
    except Unfit:
        assert any("\ud800" <= one <= "\udfff" for one in subject)
        return
    found = read(mail)
    assert found["Subject"] == " ".join(subject.split())
    assert found["From"].addresses[0].display_name == shown
    plain, rich = found.iter_parts()
    assert isinstance(plain, EmailMessage)
    assert isinstance(rich, EmailMessage)
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    assert content(plain).replace("\r\n", "\n") == ended(text)
    assert content(rich).replace("\r\n", "\n") == ended(html)


def ended(lines: list[str]) -> str:
    text = "\n".join(lines)
    return text if text.endswith("\n") else f"{text}\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("hi", "7bit"),
        ("x" * 998, "7bit"),
        ("x" * 999, "quoted-printable"),
        ("Grüße aus der Küche, und guten Appetit dazu", "quoted-printable"),
        ("Привет", "base64"),
        ("こんにちは" * 100, "base64"),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    found = read(composed(outbound(text=text), from_name=None, reply_to=None))
    assert (found["Content-Transfer-Encoding"], content(found)) == (encoding, f"{text}\r\n")


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("Shop 24", "Shop 24 <news@shop.test>"),
        ("Shop, Inc.", '"Shop, Inc." <news@shop.test>'),
        ('A "b" \\c', '"A \\"b\\" \\\\c" <news@shop.test>'),
        ("=?utf-8?q?Bank?=", "=?utf-8?b?PT91dGYtOD9xP0Jhbms/PQ==?=\r\n <news@shop.test>"),
    ],
)
def test_names(shown: str, written: str) -> None:
    mail = composed(outbound(), from_name=shown, reply_to=None)
    assert mail.content.startswith(f"From: {written}\r\n".encode())
    assert read(mail)["From"].addresses[0].display_name == shown


def test_a_long_name_is_whole() -> None:
    shown = "Käthes Läden für Bücher, Hüte und Möbel, überall und jederzeit"
    mail = composed(outbound(), from_name=shown, reply_to="help@shop.test")
    words = message_from_bytes(mail.content)["From"].partition("<")[0]
    assert str(make_header(decode_header(words))).strip() == shown
    assert read(mail)["Reply-To"] == "help@shop.test"


@pytest.mark.parametrize(
    "address",
    ["", "ann", "@example.com", "ann@", "a b@c.test", "a@b@c.test", "a@b.test>\r\nX: y", "a@b\n.test", "a@\x00.test",
     "a@" + "ü" * 100 + ".test", "\ud800@example.com"],
)  # fmt: skip
def test_what_is_no_address(address: str) -> None:
    for field in ("to", "sender"):
        with pytest.raises(Unfit):
            composed(outbound(**{field: address}), from_name=None, reply_to=None)
