"""The Twilio-compatible provider against the carrier simulator."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.sending import Accepted, Answer, Barred, Refused, Throttled, Unanswered, Unavailable
from services.campaigns.providers.port import WhatsAppTemplate
from services.campaigns.providers.twilio import TwilioProvider
from tests.service.campaigns.peers import Simulator, answering, message, simulating


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with simulating(tmp_path) as simulator:
        yield simulator


@pytest.fixture
def provider(session: aiohttp.ClientSession, simulator: Simulator) -> TwilioProvider:
    settings = {"account_sid": "AC1", "base_url": simulator.url}
    return TwilioProvider(session, settings, {"auth_token": "secret"}, timeout=5)


async def test_an_sms(provider: TwilioProvider, simulator: Simulator) -> None:
    answer = await provider.send(message(text="hällo & goodbye"))
    line = simulator.accepted()[0]
    assert answer == Accepted(line["id"])
    assert (line["to"], line["text"], line["key"]) == ("+15550000001", "hällo & goodbye", None)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (None, "hi"),
        (WhatsAppTemplate("HX1", "en"), "HX1"),
        (WhatsAppTemplate("HX1", "en", ("Ann", 'a "b"')), 'HX1 {"1":"Ann","2":"a \\"b\\""}'),
    ],
    ids=["text", "no-places", "places"],
)
async def test_whatsapp(
    provider: TwilioProvider, simulator: Simulator, template: WhatsAppTemplate | None, text: str
) -> None:
    answer = await provider.send(message(channel="whatsapp", template=template))
    line = simulator.accepted()[0]
    assert (answer, line["to"], line["text"]) == (Accepted(line["id"]), "whatsapp:+15550000001", text)


async def test_a_messaging_service_is_no_number(provider: TwilioProvider, simulator: Simulator) -> None:
    for channel in ("sms", "whatsapp"):
        assert isinstance(await provider.send(message(sender="MG1", channel=channel)), Accepted)
    assert len(simulator.accepted()) == 2


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, Throttled(3.0)),
        (503, Unavailable()),
        # It may have been taken, and there is no key by which it would be known again.
        (500, Unanswered()),
        (400, Refused()),
        (404, Refused()),
        # Of the credentials: nobody's message is at fault.
        (401, Barred(Hold.CREDENTIALS_REFUSED)),
        (403, Barred(Hold.CREDENTIALS_REFUSED)),
    ],
)
async def test_errors(provider: TwilioProvider, simulator: Simulator, status: int, expected: Answer) -> None:
    simulator.told(error_rate=1, error_status=status, retry_after=3)
    assert await provider.send(message()) == expected


@pytest.mark.parametrize("fields", [{"to": "+1"}, {"text": ""}], ids=["number", "text"])
async def test_what_twilio_refuses_is_final(provider: TwilioProvider, fields: dict[str, Any]) -> None:
    assert await provider.send(message(**fields)) == Refused()


async def test_an_attempt_without_an_answer_is_never_safe_to_repeat(
    provider: TwilioProvider, simulator: Simulator, session: aiohttp.ClientSession
) -> None:
    simulator.told(reset_after_accept_rate=1)
    assert await provider.send(message()) == Unanswered()
    assert (len(simulator.accepted()), provider.keys.honoured) == (1, False)
    nowhere = TwilioProvider(
        session, {"account_sid": "AC1", "base_url": "http://127.0.0.1:1"}, {"auth_token": "x"}, timeout=5
    )
    assert await nowhere.send(message()) == Unavailable()


async def test_an_answer_that_says_nothing_of_the_message(session: aiohttp.ClientSession) -> None:
    async with answering([b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]"]) as url:
        provider = TwilioProvider(session, {"account_sid": "AC1", "base_url": url}, {"auth_token": "x"}, timeout=5)
        assert await provider.send(message()) == Accepted("")


async def test_an_api_key_calls_in_place_of_the_token(session: aiohttp.ClientSession, simulator: Simulator) -> None:
    settings = {"account_sid": "AC1", "base_url": simulator.url, "api_key_sid": "SK1"}
    provider = TwilioProvider(session, settings, {"auth_token": "token", "api_key_secret": "other"}, timeout=5)
    await provider.send(message(callback_url="http://127.0.0.1:1/"))
    # The simulator signs with what it was called with.
    assert '"token":"other"' in (simulator.folder / "owed.jsonl").read_text()
