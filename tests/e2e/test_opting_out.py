"""Opting out while a campaign is under way, by the carrier's own log, with the broker at a standstill."""

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.client import Api, Carrier, eventually
from tests.e2e.test_campaign import campaign, marked, stats
from tests.throwaway_stack import ThrowawayStack

WHOLE = 3_000
# Every tenth of those who are not among the first.
LEAVERS = [f"+1555024{number:04d}" for number in range(500, WHOLE, 10)]
# Between the answer to an opt-out and the last moment at which a call may begin.
MOST = timedelta(seconds=2)


@pytest.fixture
def no_broker(stack: ThrowawayStack) -> Iterator[None]:
    """NATS answers nothing and is not restarted, as the process is there."""
    pid = stack.pid("nats")
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


async def test_nobody_is_called_after_they_opted_out(
    api: Api, carrier: Carrier, sender_id: str, no_broker: None
) -> None:
    mark = marked("opting-out")
    made = await campaign(api, mark=mark, sender=sender_id, rate_limit_per_second=400)
    rows = "".join(f"+1555024{number:04d},N{number}\n" for number in range(WHOLE))
    found = await api.upload(f"/v1/campaigns/{made}/recipients", b"phone,name\n" + rows.encode())
    assert found.ok()["imported"] == WHOLE
    (await api.post(f"/v1/campaigns/{made}/start")).ok()
    answered: dict[str, datetime] = {}

    async def leave(phones: list[str]) -> None:
        for phone in phones:
            (await api.post("/v1/suppressions", {"phone": phone})).ok(201)
            answered[phone] = datetime.now(UTC)

    await asyncio.gather(*(leave(LEAVERS[first::4]) for first in range(4)))
    done = await eventually(lambda: stats(api, made), lambda found: found["status"] == "completed", seconds=120)
    called = {one["to"]: datetime.fromisoformat(one["at"]) for one in carrier.accepted(mark)}
    assert set(answered) == set(LEAVERS)
    late = {phone: called[phone] - at for phone, at in answered.items() if phone in called and called[phone] > at}
    assert all(delay <= MOST for delay in late.values()), late
    # Whoever was not called is told of as left out, and nobody else is.
    skipped = await api.everything(f"/v1/campaigns/{made}/recipients?status=skipped")
    assert {one["phone"] for one in skipped} == set(LEAVERS) - set(called)
    assert {one["reason"] for one in skipped} <= {"suppressed"}
    assert (done["sent"], done["skipped"]) == (len(called), WHOLE - len(called))
    # They were sent to while they left, so that this has shown something.
    assert skipped
