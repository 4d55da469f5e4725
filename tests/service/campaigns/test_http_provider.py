"""The generic HTTP provider, against the carrier simulator and against answers that a careful server does not give."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from services.campaigns.app import Http
from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.sending import Accepted, Answer, Barred, Refused, Throttled, Unanswered, Unavailable
from services.campaigns.providers.http import HttpProvider, shown
from services.campaigns.providers.port import WhatsAppTemplate
from tests.service.campaigns.peers import Simulator, answering, message, simulating

HEAD = b"HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n"
THREE = [message(1), message(2), message(3)]


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    async with simulating(tmp_path) as simulator:
        yield simulator


def provider(session: aiohttp.ClientSession, simulator: Simulator, **settings: Any) -> HttpProvider:
    urls = {"url": f"{simulator.url}/messages", "batch_url": f"{simulator.url}/messages/batch"}
    return HttpProvider(session, urls | settings, {}, timeout=5)


async def answer(session: aiohttp.ClientSession, pieces: list[bytes]) -> Answer:
    async with answering(pieces) as url:
        return await HttpProvider(session, {"url": url}, {}, timeout=5).send(message())


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([HEAD + b'{"id": "ab"}'], Accepted("ab")),
        ([HEAD, b'{"id"', b': "ab"}'], Accepted("ab")),
        ([HEAD, b'{"no": "ab"}'], Accepted("")),
        # It broke off: whether there is a name is not known, and asking again with the key tells.
        ([HEAD, b'{"id"'], Unanswered()),
        ([HEAD], Unanswered()),
        ([], Unanswered()),
    ],
)
async def test_the_body_is_read_to_its_end(
    session: aiohttp.ClientSession, pieces: list[bytes], expected: Answer
) -> None:
    assert await answer(session, pieces) == expected


async def test_a_batch_is_one_call_with_an_answer_for_each(
    session: aiohttp.ClientSession, simulator: Simulator
) -> None:
    batching = provider(session, simulator, max_batch=50)
    assert batching.max_batch == 50
    answers = await batching.send_many(THREE)
    lines = simulator.accepted()
    assert [line["key"] for line in lines] == ["rcp_1", "rcp_2", "rcp_3"]
    assert answers == [Accepted(line["id"]) for line in lines]
    # The same keys again are the same messages.
    assert await batching.send_many(THREE) == answers
    assert [line["duplicate"] for line in simulator.accepted()] == [False] * 3 + [True] * 3


async def test_messages_of_a_batch_fail_alone(session: aiohttp.ClientSession, simulator: Simulator) -> None:
    answers = await provider(session, simulator).send_many([message(1), message(2, to=""), message(3)])
    assert [type(one) for one in answers] == [Accepted, Refused, Accepted]


@pytest.mark.parametrize(
    ("status", "expected"), [(429, Throttled(7.0)), (503, Unavailable()), (500, Unavailable()), (400, Refused())]
)
async def test_each_result_is_understood(
    session: aiohttp.ClientSession, simulator: Simulator, status: int, expected: Answer
) -> None:
    simulator.told(error_rate=1, error_status=status, retry_after=7)
    assert await provider(session, simulator).send_many(THREE) == [expected] * 3
    assert simulator.accepted() == []


@pytest.mark.parametrize(
    ("status", "honours_keys", "expected"),
    [
        (429, True, Throttled(7.0)),
        (503, False, Unavailable()),
        (500, True, Unavailable()),
        (500, False, Unanswered()),
    ],
)
async def test_an_error_of_the_whole_call_is_one_for_each(
    session: aiohttp.ClientSession, simulator: Simulator, status: int, honours_keys: bool, expected: Answer
) -> None:
    simulator.told(call_error_rate=1, error_status=status, retry_after=7)
    found = await provider(session, simulator, honours_keys=honours_keys).send_many(THREE)
    assert found == [expected] * 3


async def test_a_batch_refused_as_a_whole_is_sent_one_by_one(
    session: aiohttp.ClientSession, simulator: Simulator
) -> None:
    simulator.told(call_error_rate=1, error_status=413)
    answers = await provider(session, simulator).send_many([message(1), message(2, to=""), message(3)])
    assert [type(one) for one in answers] == [Accepted, Refused, Accepted]
    assert sorted(line["key"] for line in simulator.accepted()) == ["rcp_1", "rcp_3"]


async def test_a_result_that_is_left_out_is_no_answer(session: aiohttp.ClientSession, simulator: Simulator) -> None:
    simulator.told(omit_result_rate=1)
    assert await provider(session, simulator).send_many(THREE) == [Unanswered()] * 3
    # They were taken all the same: with their keys they are found again.
    simulator.told(omit_result_rate=0)
    answers = await provider(session, simulator).send_many(THREE)
    assert answers == [Accepted(line["id"]) for line in simulator.accepted()[:3]]


async def test_a_batch_cut_off_is_no_answer_for_anybody(session: aiohttp.ClientSession, simulator: Simulator) -> None:
    simulator.told(reset_after_accept_rate=1)
    assert await provider(session, simulator).send_many(THREE) == [Unanswered()] * 3


async def test_nobody_there_took_nothing(session: aiohttp.ClientSession, simulator: Simulator) -> None:
    nowhere = {"url": "http://127.0.0.1:1/", "batch_url": "http://127.0.0.1:1/"}
    assert await provider(session, simulator, **nowhere).send_many(THREE) == [Unavailable()] * 3
    assert await provider(session, simulator, **nowhere).send(message()) == Unavailable()


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_are_refused_are_the_senders_fault(
    session: aiohttp.ClientSession, simulator: Simulator, status: int
) -> None:
    simulator.told(call_error_rate=1, error_rate=1, error_status=status)
    barred = Barred(Hold.CREDENTIALS_REFUSED)
    assert await provider(session, simulator).send_many(THREE) == [barred] * 3
    assert await provider(session, simulator).send(message()) == barred
    assert simulator.accepted() == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_an_address_inside_is_not_connected_to(simulator: Simulator, host: str) -> None:
    url = simulator.url.replace("127.0.0.1", host)
    guarded = Http(allowed=())
    urls = {"url": f"{url}/messages", "batch_url": f"{url}/messages/batch"}
    barred, leading_inside = Barred(Hold.ADDRESS_REFUSED), HttpProvider(guarded.session, urls, {}, timeout=5)
    assert await leading_inside.send_many(THREE) == [barred] * 3
    assert await leading_inside.send(message()) == barred
    await guarded.stop()


ONE = b'{"key": "rcp_1", "status": "accepted", "id": "a"}'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", [Unanswered()] * 2),
        (b"[]", [Unanswered()] * 2),
        (b'{"results": 5}', [Unanswered()] * 2),
        (b'{"results": [1, null, {"key": 5}]}', [Unanswered()] * 2),
        (b'{"results": [' + ONE + b"]}", [Accepted("a"), Unanswered()]),
        # Of two for one key the first; what is of nobody is of nobody.
        (
            b'{"results": [' + ONE + b', {"key": "rcp_1", "status": "refused"}, {"key": "x", "status": "accepted"}]}',
            [Accepted("a"), Unanswered()],
        ),
        (b'{"results": [{"key": "rcp_2", "status": "queued"}]}', [Unanswered()] * 2),
        (b'{"results": [{"key": "rcp_1", "status": "accepted", "id": true}]}', [Accepted(""), Unanswered()]),
        (b'{"results": [{"key": "rcp_1", "status": "throttled", "retry_after": "x"}]}', [Throttled(1.0), Unanswered()]),
    ],
    ids=["empty", "list", "number", "junk", "one", "doubled", "unknown-status", "odd-id", "odd-wait"],
)
async def test_broken_results(session: aiohttp.ClientSession, body: bytes, expected: list[Answer]) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with answering([head + body]) as url:
        batching = HttpProvider(session, {"url": url, "batch_url": url}, {}, timeout=5)
        assert await batching.send_many([message(1), message(2)]) == expected


async def test_an_answer_without_end_is_cut(session: aiohttp.ClientSession) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"
    async with answering([head, b'{"results": [' + b" " * 2_999_987]) as url:
        batching = HttpProvider(session, {"url": url, "batch_url": url}, {}, timeout=5)
        assert await batching.send_many([message(1), message(2)]) == [Unanswered()] * 2


def test_what_an_email_and_a_whatsapp_message_look_like() -> None:

    mail = shown(message(channel="email", subject="S", html="<p>", unsubscribe_url="https://x.test/t/1"))
    assert (mail["subject"], mail["html"], mail["unsubscribe_url"]) == ("S", "<p>", "https://x.test/t/1")
    approved = shown(message(channel="whatsapp", template=WhatsAppTemplate("order", "en", ("a", "b"))))
    assert approved["template"] == {"name": "order", "language": "en", "parameters": ("a", "b")}
    assert shown(message()).keys() == {"to", "from", "channel", "text", "callback_url"}
