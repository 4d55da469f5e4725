"""The SMTP provider against a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.sending import Accepted, Answer, Barred, Refused, Throttled, Unanswered, Unavailable
from services.campaigns.providers.port import Outbound
from services.campaigns.providers.smtp import SmtpProvider
from tests.service.campaigns.peers import HOST, Mailbox, authenticate, mailbox, message
from tests.service.campaigns.world import LOOPBACK
from tests.service.stack import eventually


@pytest_asyncio.fixture
async def box() -> AsyncIterator[Mailbox]:
    async with mailbox(enable_SMTPUTF8=True) as box:
        yield box


def smtp(box: Mailbox, *, timeout: float = 5, password: str = "", **settings: Any) -> SmtpProvider:
    known = {"host": HOST, "port": box.port, "tls": "none"} | settings
    return SmtpProvider(known, {"password": password} if password else {}, allowed=LOOPBACK, timeout=timeout)


@pytest_asyncio.fixture
async def provider(box: Mailbox) -> AsyncIterator[SmtpProvider]:
    made = smtp(box, from_name="Café Carillon", reply_to="help@shop.test")
    yield made
    await made.close()


def mail(number: int = 1, **fields: Any) -> Outbound:
    base: dict[str, Any] = {
        "channel": "email",
        "to": f"ann{number}@example.com",
        "sender": "news@shop.test",
        "subject": "Frühling",
        "text": "Hallo Ännchen\n",
        "html": "<p>Hallo Ännchen</p>\n",
        "unsubscribe_url": "https://carillon.test/t/abc.def",
    }
    return message(number, **(base | fields))


async def test_a_mail(provider: SmtpProvider, box: Mailbox) -> None:
    assert await provider.send(mail()) == Accepted("rcp_1@shop.test")
    (found,) = box.mails
    envelope = box.envelopes[0]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("news@shop.test", ["ann1@example.com"])
    assert found["From"] == "Café Carillon <news@shop.test>"
    assert (found["To"], found["Reply-To"], found["Subject"]) == ("ann1@example.com", "help@shop.test", "Frühling")
    assert (found["Message-ID"], found["MIME-Version"]) == ("<rcp_1@shop.test>", "1.0")
    assert found["Date"] is not None
    # RFC 8058: one POST, with nobody to ask.
    assert found["List-Unsubscribe"] == "<https://carillon.test/t/abc.def>"
    assert found["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert found.get_content_type() == "multipart/alternative"
    text, html = found.iter_parts()
    assert (text.get_content_type(), text.get_content()) == ("text/plain", "Hallo Ännchen\r\n")
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>Hallo Ännchen</p>\r\n")
    # For any server: nothing but ASCII, no line too long.
    content = envelope.content
    assert isinstance(content, bytes)
    assert content.isascii()
    assert max(map(len, content.splitlines())) <= 998


async def test_a_mail_of_text_alone(provider: SmtpProvider, box: Mailbox) -> None:
    await provider.send(mail(html=None, unsubscribe_url=None, subject=None, text="x" * 5000 + "\n.\nend"))
    (found,) = box.mails
    assert (found.get_content_type(), found["Subject"], found["List-Unsubscribe"]) == ("text/plain", "", None)
    assert found.get_content() == "x" * 5000 + "\r\n.\r\nend\r\n"


async def test_a_repeated_attempt_has_the_same_message_id(provider: SmtpProvider, box: Mailbox) -> None:
    for _ in range(2):
        await provider.send(mail())
    assert len({found["Message-ID"] for found in box.mails}) == 1


async def test_no_header_can_be_smuggled_in(provider: SmtpProvider, box: Mailbox) -> None:
    await provider.send(mail(subject="a\r\nBcc: all@example.com"))
    assert (box.mails[0]["Subject"], box.mails[0]["Bcc"]) == ("a Bcc: all@example.com", None)
    for to in ("a@b.test>\r\nRCPT TO:<c@d.test", "nobody", "@b.test", "a b@c.test"):
        assert await provider.send(mail(to=to)) == Refused()
    assert len(box.mails) == 1


async def test_addresses_that_are_not_ascii(provider: SmtpProvider, box: Mailbox) -> None:
    assert isinstance(await provider.send(mail(to="ann@bücher.example")), Accepted)
    assert isinstance(await provider.send(mail(to="änn@example.com")), Accepted)
    assert [one.rcpt_tos[0] for one in box.envelopes] == ["ann@xn--bcher-kva.example", "änn@example.com"]
    async with mailbox() as narrow:
        old = smtp(narrow)
        assert await old.send(mail(to="änn@example.com")) == Refused()
        assert isinstance(await old.send(mail()), Accepted)
        await old.close()


@pytest.mark.parametrize(
    ("command", "reply", "expected"),
    [
        ("RCPT", "550 5.1.1 no such user", Refused()),
        ("RCPT", "450 4.2.0 greylisted", Unavailable()),
        ("RCPT", "452 4.2.2 mailbox full", Unavailable()),
        ("DATA", "554 5.7.1 spam", Refused()),
        ("DATA", "451 4.3.0 try later", Unavailable()),
        ("DATA", "421 4.3.2 going down", Unavailable()),
        # Of the sender, not of the recipient: nobody fails for it.
        ("MAIL", "550 5.7.1 not allowed to send", Unavailable()),
        ("MAIL", "451 4.7.0 too fast", Unavailable()),
        ("EHLO", "554 go away", Unavailable()),
    ],
)
async def test_replies(provider: SmtpProvider, box: Mailbox, command: str, reply: str, expected: Answer) -> None:
    box.answers[command] = reply
    assert await provider.send(mail()) == expected
    assert box.mails == []
    # The connection, or another, takes the next mail.
    box.answers.clear()
    assert isinstance(await provider.send(mail(2)), Accepted)
    assert [one.rcpt_tos for one in box.envelopes] == [["ann2@example.com"]]


async def test_a_connection_cut_after_the_mail_is_no_answer(provider: SmtpProvider, box: Mailbox) -> None:
    box.cut_after_data = True
    assert await provider.send(mail()) == Unanswered()
    assert (len(box.mails), provider.keys.honoured) == (1, False)


async def test_a_server_that_is_silent_before_the_mail_took_nothing(box: Mailbox) -> None:
    box.gate = asyncio.Event()
    impatient = smtp(box, timeout=0.2)
    assert await impatient.send(mail()) == Unavailable()
    box.gate.set()
    await impatient.close()
    assert box.mails == []


async def test_nobody_there_took_nothing() -> None:
    nowhere = SmtpProvider({"host": HOST, "port": 1, "tls": "none"}, {}, allowed=LOOPBACK, timeout=5)
    assert await nowhere.send(mail()) == Unavailable()


async def test_mails_share_connections(provider: SmtpProvider, box: Mailbox) -> None:
    for number in range(5):
        assert isinstance(await provider.send(mail(number)), Accepted)
    assert (len(box.mails), box.greeted) == (5, 1)


async def test_a_connection_that_the_server_closed_is_replaced(provider: SmtpProvider, box: Mailbox) -> None:
    await provider.send(mail(1))
    box.cut_all()
    assert isinstance(await provider.send(mail(2)), Accepted)
    assert (len(box.mails), box.greeted) == (2, 2)


async def test_there_are_never_more_connections_than_allowed(box: Mailbox) -> None:
    box.gate = asyncio.Event()
    bounded = smtp(box, connections=2)
    sends = [asyncio.create_task(bounded.send(mail(number))) for number in range(4)]

    async def held_back() -> bool:
        return sum(one.done() for one in sends) == 2 and box.waiting == 2

    await eventually(held_back)
    box.gate.set()
    answers = await asyncio.gather(*sends)
    # Whoever found no connection in time is not kept waiting: its recipient would be checked anew.
    assert sorted(type(one).__name__ for one in answers) == ["Accepted", "Accepted", "Throttled", "Throttled"]
    assert isinstance(answers[3], Throttled)
    assert (box.greeted, len(box.mails)) == (2, 2)
    await bounded.close()


async def test_closed_it_keeps_no_connection_and_still_sends(provider: SmtpProvider, box: Mailbox) -> None:
    await provider.send(mail(1))
    await provider.close()
    assert isinstance(await provider.send(mail(2)), Accepted)
    assert isinstance(await provider.send(mail(3)), Accepted)
    assert box.greeted == 3


@pytest.mark.parametrize(
    ("password", "expected"), [("right", Accepted("rcp_1@shop.test")), ("wrong", Barred(Hold.CREDENTIALS_REFUSED))]
)
async def test_it_logs_in(password: str, expected: Answer) -> None:
    async with mailbox(authenticator=authenticate, auth_require_tls=False) as box:
        provider = smtp(box, username="user", password=password)
        assert await provider.send(mail()) == expected
        await provider.close()


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_a_server_inside_is_not_connected_to(box: Mailbox, host: str) -> None:
    known = {"host": host, "port": box.port, "tls": "none"}
    guarded = SmtpProvider(known, {}, allowed=(), timeout=5)
    assert await guarded.send(mail()) == Barred(Hold.ADDRESS_REFUSED)
    assert box.greeted == 0


async def test_it_insists_on_starttls(box: Mailbox) -> None:
    assert await smtp(box, tls="starttls").send(mail()) == Unavailable()
    assert box.mails == []
