"""The simulator as its callers see it: a process, its HTTP answers, its files, the receipts that it posts."""

import asyncio
import json
import signal
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from deploy.local import ports
from deploy.local.carrier import twilio
from tests.service.stack import eventually


class Simulator:
    """One folder and port, and the process that has them; `restart` after `kill` or `stop`."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession):
        self.folder = folder
        self.port = ports.choose()
        self.url = f"http://127.0.0.1:{self.port}"
        self._session = session
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        command = ["-m", "deploy.local.carrier", "--port", str(self.port), "--folder", str(self.folder)]
        self._process = await asyncio.create_subprocess_exec(sys.executable, *command)
        await eventually(self._answers)

    async def end(self, signum: int) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signum)
        await self._process.wait()

    async def restart(self, signum: int = signal.SIGKILL) -> None:
        await self.end(signum)
        await self.start()

    async def _answers(self) -> bool:
        try:
            async with self._session.get(f"{self.url}/control") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def control(self, **changes: Any) -> None:
        async with self._session.put(f"{self.url}/control", json=changes) as answer:
            assert answer.status == 200, await answer.text()

    async def send(self, key: str | None = None, **message: Any) -> tuple[int, Any, Any]:
        """(status, body, headers) of one message."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"to": "+15550100", "from": "CARILLON", "channel": "sms", "text": "hi"} | message
        async with self._session.post(f"{self.url}/messages", json=body, headers=headers) as answer:
            return answer.status, await answer.json(), answer.headers

    async def release(self) -> int:
        async with self._session.post(f"{self.url}/control/release") as answer:
            return (await answer.json())["released"]

    def accepted(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "accepted.jsonl").read_text().splitlines()]


class Subscriber:
    """Takes receipts; `refuse` makes it answer 503."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.forms: list[tuple[dict[str, str], str]] = []
        self.refuse = False
        self.attempts = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        if self.refuse:
            return web.Response(status=503)
        if request.content_type == "application/json":
            self.batches.append((await request.json())["receipts"])
        else:
            form = {name: str(value) for name, value in (await request.post()).items()}
            self.forms.append((form, request.headers["X-Twilio-Signature"]))
        return web.Response()

    def ids(self) -> list[str]:
        return [receipt["id"] for batch in self.batches for receipt in batch]

    async def heard(self, count: int) -> list[str]:
        async def enough() -> bool:
            return len(self.ids()) >= count

        await eventually(enough)
        return self.ids()


@pytest_asyncio.fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as made:
        yield made


@pytest_asyncio.fixture(scope="module")
async def process(session, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulator]:
    made = Simulator(tmp_path_factory.mktemp("carrier"), session)
    await made.start()
    yield made
    await made.end(signal.SIGTERM)


DEFAULTS = {
    "delay_ms": 0, "error_rate": 0, "error_status": 503, "retry_after": None, "reset_after_accept_rate": 0,
    "receipts": "auto", "receipt_delay_ms": 0, "receipt_duplicate_rate": 0, "receipt_failed_rate": 0,
    "honour_keys": True,
}  # fmt: skip


@pytest_asyncio.fixture
async def simulator(process) -> Simulator:
    await process.release()
    await process.control(**DEFAULTS)
    return process


@asynccontextmanager
async def subscribed() -> AsyncIterator[Subscriber]:
    made = Subscriber()
    app = web.Application()
    app.router.add_post("/receipts", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    port = ports.choose()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made.url = f"http://127.0.0.1:{port}/receipts"
    yield made
    await runner.cleanup()


@pytest_asyncio.fixture
async def subscriber() -> AsyncIterator[Subscriber]:
    async with subscribed() as made:
        yield made


async def test_a_message_is_accepted_once_for_a_key_and_written_down(simulator):
    first = await simulator.send("key-1")
    again = await simulator.send("key-1", text="other words")
    assert (first[0], again[0]) == (202, 200)
    assert first[1] == again[1]
    lines = [line for line in simulator.accepted() if line["key"] == "key-1"]
    assert [(line["id"], line["duplicate"]) for line in lines] == [(first[1]["id"], False), (first[1]["id"], True)]


async def test_a_killed_simulator_still_knows_its_keys_and_its_behaviour(simulator):
    await simulator.control(error_status=418)
    _, body, _ = await simulator.send("key-2")
    await simulator.restart()
    assert (await simulator.send("key-2"))[:2] == (200, body)
    await simulator.control(error_rate=1)
    assert (await simulator.send("key-3"))[0] == 418


async def test_a_stopped_simulator_starts_as_new(simulator):
    await simulator.control(error_rate=1)
    await simulator.restart(signal.SIGTERM)
    assert (await simulator.send("key-4"))[0] == 202


async def test_a_dropped_answer_was_accepted(simulator):
    await simulator.control(reset_after_accept_rate=1)
    with pytest.raises(aiohttp.ClientError):
        await simulator.send("key-5")
    assert next(line["duplicate"] for line in simulator.accepted() if line["key"] == "key-5") is False
    await simulator.control(reset_after_accept_rate=0)
    assert (await simulator.send("key-5"))[0] == 200


async def test_an_error_is_answered_as_told_and_accepts_nothing(simulator):
    await simulator.control(error_rate=1, error_status=429, retry_after=2)
    status, _, headers = await simulator.send("key-6")
    assert (status, headers["Retry-After"]) == (429, "2")
    assert not [line for line in simulator.accepted() if line["key"] == "key-6"]


async def test_keys_not_honoured_make_two_messages(simulator):
    await simulator.control(honour_keys=False)
    assert (await simulator.send("key-7"))[1] != (await simulator.send("key-7"))[1]


@pytest.mark.parametrize("message", [{"to": ""}, {"to": 5}, {"text": None}, {"callback_url": 1}])
async def test_what_is_no_message_is_refused_for_good(simulator, message):
    assert (await simulator.send(**message))[0] == 400


async def test_an_unknown_setting_is_refused(simulator, session):
    async with session.put(f"{simulator.url}/control", json={"latency": 1}) as answer:
        assert answer.status == 400
        assert "latency" in (await answer.json())["error"]


async def test_receipts_come_by_themselves_in_batches(simulator, subscriber):
    await simulator.control(receipt_delay_ms=200)
    answers = await asyncio.gather(*(simulator.send(callback_url=subscriber.url) for _ in range(40)))
    assert sorted(await subscriber.heard(40)) == sorted(body["id"] for _, body, _ in answers)
    assert len(subscriber.batches) < 20
    assert {receipt["status"] for batch in subscriber.batches for receipt in batch} == {"delivered"}

    async def all_written() -> bool:
        """Each is written down when its taker has answered."""
        lines = (simulator.folder / "receipts.jsonl").read_text().splitlines()
        return {json.loads(line)["id"] for line in lines} >= set(subscriber.ids())

    await eventually(all_written)


async def test_a_known_key_gets_no_second_receipt(simulator, subscriber):
    await simulator.control(receipts="hold")
    for _ in range(3):
        await simulator.send("key-8", callback_url=subscriber.url)
    assert await simulator.release() == 1


async def test_held_receipts_wait_for_their_release_also_over_a_kill(simulator, subscriber):
    await simulator.control(receipts="hold")
    _, body, _ = await simulator.send(callback_url=subscriber.url)
    await simulator.restart()
    assert subscriber.attempts == 0
    assert await simulator.release() == 1
    assert await subscriber.heard(1) == [body["id"]]


async def test_receipts_outlive_a_subscriber_that_is_away_and_a_kill(simulator, subscriber):
    subscriber.refuse = True
    answers = [await simulator.send(callback_url=subscriber.url) for _ in range(3)]

    async def refused() -> int:
        return subscriber.attempts

    await eventually(refused)
    await simulator.restart()
    subscriber.refuse = False
    assert {body["id"] for _, body, _ in answers} <= set(await subscriber.heard(3))


async def test_receipts_fail_and_repeat_as_told(simulator, subscriber):
    await simulator.control(receipt_failed_rate=1, receipt_duplicate_rate=1)
    await simulator.send(callback_url=subscriber.url)
    first, second = await subscriber.heard(2)
    assert first == second
    assert subscriber.batches[0][0]["status"] == "failed"
    assert subscriber.batches[0][0]["reason"] == "unreachable"


async def test_twilio_accepts_a_form_and_signs_its_callback(simulator, session, subscriber):
    url = f"{simulator.url}/2010-04-01/Accounts/AC1/Messages.json"
    form = {"To": "+15550101", "From": "+15550102", "Body": "hi", "StatusCallback": subscriber.url}
    async with session.post(url, data=form) as answer:
        assert answer.status == 401
    headers = {"Authorization": "Basic " + b64encode(b"AC1:secret").decode()}
    async with session.post(url, data=form, headers=headers) as answer:
        assert answer.status == 201
        created = await answer.json()
    assert (created["status"], len(created["sid"])) == ("queued", 34)

    async def called() -> list:
        return subscriber.forms

    (callback, signature), *_ = await eventually(called)
    assert (callback["MessageSid"], callback["MessageStatus"]) == (created["sid"], "delivered")
    assert signature == twilio.signature(subscriber.url, callback, token="secret")
